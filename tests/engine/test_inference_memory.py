"""A run without a gradient keeps what comes out of it, not the states of all its steps."""

import pytest
import torch
from torch.utils._pytree import tree_leaves

from rnnvanish import Recurrent, cells
from rnnvanish.engine import run

BATCH, INPUT = 3, 8


def layer_and_program(cell, monkeypatch, chunk, lengths=None):
    """A layer of which some steps at a time are run, and its program."""
    monkeypatch.setattr(run, "_programs", {})
    layer = Recurrent(cell, INPUT, 32, engine="cpu")
    layer(torch.zeros(2, 1, INPUT), None, lengths)
    (program,) = run._programs.values()
    monkeypatch.setattr(program, "chunk", chunk)
    return layer, program


def assert_equal_without_a_gradient(layer, *given):
    learning = layer(*given)
    with torch.no_grad():
        running = layer(*given)
    assert learning[0].requires_grad
    for ours, theirs in zip(tree_leaves(running), tree_leaves(learning), strict=True):
        assert torch.equal(ours, theirs)


def largest_memory(layer, program, steps, monkeypatch):
    """Bytes of all memory that one of its loops was given, without that of input and output."""
    loop, held = program.forward_loop, [0]

    def watched(steps, batch, buffers, *rest):
        storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in buffers.values()}
        for name in ("x", "state0"):
            storages.pop(buffers[name].untyped_storage().data_ptr(), None)
        held.append(sum(storages.values()))
        loop(steps, batch, buffers, *rest)

    with monkeypatch.context() as here, torch.no_grad():
        here.setattr(program, "forward_loop", watched)
        layer(torch.randn(steps, BATCH, INPUT))
    return max(held)


@pytest.mark.parametrize("cell", [cells.MLSTM, cells.S6, cells.DeltaNet, cells.LSTM])
def test_the_memory_of_states_does_not_grow_with_time(cell, monkeypatch):
    layer, program = layer_and_program(cell, monkeypatch, chunk=2**14)
    few, many = (largest_memory(layer, program, steps, monkeypatch) for steps in (128, 512))
    assert 0 < many == few
    assert_equal_without_a_gradient(layer, torch.randn(129, BATCH, INPUT))


def test_what_has_ended_is_carried_from_chunk_to_chunk(monkeypatch):
    layer, _ = layer_and_program(cells.LSTM, monkeypatch, chunk=1, lengths=torch.tensor([2]))
    assert_equal_without_a_gradient(layer, torch.randn(9, BATCH, INPUT), None, torch.tensor([9, 4, 1]))
