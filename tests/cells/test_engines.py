"""The compiled loop of every cell against the plain one: outputs, states and all gradients, as a training has them."""

import pytest
import torch
from every_cell import assert_same, built, everything, sequences, state_for, wanted

from rnnvanish import cells
from rnnvanish.engine import run as engine_run

#: Cells that run as a plain loop, and the operation in their step that the compiled engine has not.
NOT_STAGED = {"URNN": "fft"}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}


def assert_equal_loops(layer, x, **how):
    state, found = state_for(layer, x), {}
    how |= wanted(layer, x)
    for layer.engine in ("cpu", "reference"):
        found[layer.engine] = everything(layer, x, state, **how)
    assert_same(found["cpu"], found["reference"], TOLERANCE[x.dtype])


def in_parts_of_two_steps(monkeypatch):
    """Have all programs work on two steps at a time, as they do on many steps of long and wide loops."""
    for program in engine_run._programs.values():
        monkeypatch.setattr(program, "part", 1, raising=False)


@pytest.mark.parametrize("name", cells.ALL)
def test_a_compiled_loop_is_the_plain_one(name, monkeypatch):
    layer, x, lengths = built(name), sequences(time=9), [9, 1, 4]
    if name in NOT_STAGED:
        layer.engine = "cpu"
        with pytest.raises(RuntimeError, match=NOT_STAGED[name]):
            layer(x, lengths=lengths)
        return
    assert_equal_loops(layer, x, lengths=lengths)
    in_parts_of_two_steps(monkeypatch)
    assert_equal_loops(layer, x, lengths=lengths)
    assert_equal_loops(layer.float(), x.float())  # of other precision, and without lengths: another program
