"""A torch that lacks a name for backward passes: no training is watched, and that is all."""

import pytest
from torch import nn

from rnnvanish import watch
from rnnvanish.compat import backward_pass


def refuses(name):
    with pytest.raises(ValueError, match=f"watch cannot work with this torch: there is no way to .*{name}"):
        watch(nn.GRU(1, 1))


@pytest.mark.parametrize("name", backward_pass._FUNCTIONS)
def test_without_a_function_no_training_is_watched(name, monkeypatch):
    found = backward_pass.find
    monkeypatch.setattr(backward_pass, "find", lambda each: None if each == name else found(each))
    refuses(name)


def test_without_the_inputs_of_a_node_no_training_is_watched(monkeypatch):
    inputs = backward_pass.backward_inputs
    monkeypatch.setattr(backward_pass, "backward_inputs", lambda node: inputs(object()))
    refuses(backward_pass._INPUTS)


def test_with_all_of_them_it_is():
    watch(nn.GRU(1, 1)).close()
