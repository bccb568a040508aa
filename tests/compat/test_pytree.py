"""Nested containers: walked as torch walks them, by its own functions and without."""

from collections import OrderedDict, deque, namedtuple

import torch
from torch import nn
from torch.utils import _pytree

from rnnvanish.compat import pytree

Pair = namedtuple("Pair", ["first", "second"])


def plus_one(each):
    return each + 1 if isinstance(each, int) else each


def test_containers_are_walked_as_torch_walks_them(monkeypatch):
    packed = nn.utils.rnn.pack_sequence([torch.zeros(2, 1)])
    tree = [1, (2, {"b": 3, "a": [4]}), Pair(5, (6,)), deque([7]), OrderedDict(z=8, y=None), {9}, packed, slice(1)]
    ways = []
    for is_leaf in (None, lambda each: isinstance(each, tuple)):
        ways.append(([*map(id, pytree.tree_leaves(tree, is_leaf))], pytree.tree_map(plus_one, tree)))
        monkeypatch.setattr(pytree, "_tree_leaves", None)
        monkeypatch.setattr(pytree, "_tree_map", None)
        assert [*map(id, pytree.tree_leaves(tree, is_leaf))] == [*map(id, _pytree.tree_leaves(tree, is_leaf=is_leaf))]
    assert str(ways[0][1]) == str(ways[1][1])
    assert isinstance(ways[1][1][2], Pair)
    assert isinstance(ways[1][1][4], OrderedDict)
