"""Cells that can take all steps at once do, where they may; what comes out is what the loop gives."""

import pytest
import torch

from rnnvanish import Recurrent, cells
from rnnvanish.cell import has_parallel_form
from rnnvanish.engine import run

PARALLEL = [name for name, cell in cells.ALL.items() if has_parallel_form(cell(2, 8, **cell.small))]
TIME, BATCH, INPUT, HIDDEN = 8, 3, 2, 8  # too few to be compiled for


def layer_of(name):
    torch.manual_seed(0)
    return Recurrent(cells.ALL[name], INPUT, HIDDEN, num_layers=2, bidirectional=True, **cells.ALL[name].small).double()


def counted(monkeypatch, layer, numbers=0):
    """How often each cell is asked for all steps at once, which is faster from so many numbers of state on."""
    monkeypatch.setattr(run, "PARALLEL_NUMBERS", numbers)
    kind, calls = type(layer.cells[0]), []
    own = kind.parallel
    monkeypatch.setattr(kind, "parallel", lambda *args: calls.append(1) or own(*args))
    return calls


def numbers(layer, x, **given):
    layer.zero_grad()
    y, state = layer(x, **given)
    parts = state if isinstance(state, tuple) else (state,)
    real = [torch.view_as_real(part) if part.is_complex() else part for part in (y, *parts)]
    sum(part.square().sum() for part in real).backward()
    return [*real, *(parameter.grad.clone() for parameter in layer.parameters())]


@pytest.mark.parametrize("name", PARALLEL)
def test_all_steps_at_once_are_the_steps_one_by_one(name, monkeypatch):
    layer, x = layer_of(name), torch.randn(TIME, BATCH, INPUT).double()
    calls = counted(monkeypatch, layer)
    found = numbers(layer, x)
    assert len(calls) == 4
    layer.engine = "reference"
    for one, other in zip(found, numbers(layer, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    assert len(calls) == 4


@pytest.mark.parametrize("name", PARALLEL)
def test_what_a_parallel_form_cannot_do_goes_step_by_step(name, monkeypatch):
    layer, x = layer_of(name), torch.randn(TIME, BATCH, INPUT).double()
    calls = counted(monkeypatch, layer)
    layer(x, lengths=[TIME, 5, 1])
    layer(x, resets=torch.zeros(TIME, BATCH))
    layer(x[:2])
    with torch.autocast("cpu", torch.bfloat16):
        layer.float()(x.float())
    layer.double()
    assert not calls
    seen = []
    layer.cells[0].register_forward_hook(lambda *args: seen.append(1))
    layer(x)
    assert len(seen) == TIME
    assert len(calls) == 3  # of the cells without a hook


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["DeltaNet", "MLSTM"])
def test_numbers_of_16_bits_go_step_by_step(name, dtype):
    layer, x = layer_of(name).to(dtype), torch.randn(TIME, BATCH, INPUT).to(dtype)
    found, _ = layer(x)
    layer.engine = "reference"
    assert torch.equal(found, layer(x)[0])


def test_a_small_state_goes_through_the_compiled_loop_where_there_is_one(monkeypatch):
    layer, x = Recurrent(cells.DeltaNet, INPUT, HIDDEN, heads=1).double(), torch.randn(100, BATCH, INPUT).double()
    calls = counted(monkeypatch, layer, BATCH * HIDDEN**2 + 1)
    compiled, _ = layer(x)
    assert not calls
    transformed = torch.func.vmap(lambda x: layer(x)[0], in_dims=1, out_dims=1)(x.unsqueeze(2))
    assert len(calls) == 1
    torch.testing.assert_close(transformed.squeeze(2), compiled, rtol=1e-9, atol=1e-11)
    monkeypatch.setattr(run, "PARALLEL_NUMBERS", BATCH * HIDDEN**2)
    layer(x)
    assert len(calls) == 2


def test_a_few_steps_of_a_small_state_are_taken_at_once_and_more_of_them_one_by_one(monkeypatch):
    layer, x = Recurrent(cells.DeltaNet, INPUT, HIDDEN, heads=1).double(), torch.randn(17, 16, INPUT).double()
    calls = counted(monkeypatch, layer, 2**18)
    few, _ = layer(x[:16])
    assert len(calls) == 1
    more, _ = layer(x)
    assert len(calls) == 1
    torch.testing.assert_close(more[:16], few, rtol=1e-9, atol=1e-11)
