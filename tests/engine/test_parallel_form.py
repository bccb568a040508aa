"""Cells that can take all steps at once do, where they may; what comes out is what the loop gives."""

import pytest
import torch

from rnnvanish import Recurrent, cells
from rnnvanish.cell import has_parallel_form

PARALLEL = [name for name, cell in cells.ALL.items() if has_parallel_form(cell(2, 8, **cell.small))]
TIME, BATCH, INPUT, HIDDEN = 20, 3, 2, 8


def layer_of(name):
    torch.manual_seed(0)
    return Recurrent(cells.ALL[name], INPUT, HIDDEN, num_layers=2, bidirectional=True, **cells.ALL[name].small).double()


def counted(monkeypatch, layer):
    """How often each cell is asked for all steps at once."""
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
