"""Nested containers: without torch's own walk through them, one through those that Python has."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, cast

from rnnvanish.compat.private_names import find, say

_tree_leaves, _tree_map = map(find, ("torch.utils._pytree.tree_leaves", "torch.utils._pytree.tree_map"))


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """What stands in nested containers, in order; `is_leaf` says which are not looked into."""
    if _tree_leaves is not None:
        return cast(list[Any], _tree_leaves(tree, is_leaf=is_leaf))
    say("torch.utils._pytree.tree_leaves", "only Python's own containers are looked into.")
    inside = None if is_leaf is not None and is_leaf(tree) else _inside(tree)
    return [tree] if inside is None else [leaf for each in inside for leaf in tree_leaves(each, is_leaf)]


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same nested containers around what `function` makes of each leaf."""
    if _tree_map is not None:
        return _tree_map(function, tree)
    say("torch.utils._pytree.tree_map", "only Python's own containers are looked into.")
    inside = _inside(tree)
    if inside is None:
        return function(tree)
    new = [tree_map(function, each) for each in inside]
    if isinstance(tree, dict):
        return type(tree)(zip(tree, new, strict=True))
    return type(tree)(*new) if hasattr(tree, "_fields") else type(tree)(new)


def _inside(tree: Any) -> list[Any] | None:
    """What a container holds; None of a leaf."""
    if type(tree) in (dict, OrderedDict):
        return list(tree.values())
    named = isinstance(tree, tuple) and hasattr(tree, "_fields")
    return list(tree) if named or type(tree) in (tuple, list, deque) else None
