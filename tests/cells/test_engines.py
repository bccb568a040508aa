"""The compiled loop of every cell against the plain one: outputs, states and all gradients, as a training has them."""

import pytest
import torch
from every_cell import assert_same, built, everything, sequences, state_for, wanted

from rnnvanish import cells
from rnnvanish.engine import run as engine_run

#: Cells that run as a plain loop, and what in their step the compiled engine has not.
NOT_STAGED = {
    "URNN": "torch.fft of what reads the state",
}
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
        if hasattr(program, "chunk"):  # else it is why there is none
            monkeypatch.setattr(program, "chunk", 1)


@pytest.mark.parametrize("name", cells.ALL)
def test_a_compiled_loop_is_the_plain_one(name, monkeypatch):
    layer, x = built(name), sequences(time=9)
    given = {"lengths": [9, 1, 4], "resets": torch.rand(9, 3) < 0.2}
    if name in NOT_STAGED:
        layer.engine = "cpu"
        with pytest.raises(RuntimeError, match=f"cannot run {name}: {NOT_STAGED[name]}"):
            layer(x)
        return
    assert_equal_loops(layer, x, **given)
    in_parts_of_two_steps(monkeypatch)
    assert_equal_loops(layer, x, **given)
    assert_equal_loops(layer.float(), x.float())  # of another precision, and without them: another program
