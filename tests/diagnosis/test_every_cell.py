"""Every cell: each measure can be taken of it, its steps are taken apart, and what is no memory is nowhere."""

import math

import pytest
import torch

from rnnvanish import Recurrent, cells
from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.gate_values import kept_by_gate
from rnnvanish.backward.measure_loop import measure_alone
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.diagnosis.examine import examine

#: What a measure has no meaning for: complex numbers have no limits to stand at.
NOT_MEASURED = {"saturation"}


@pytest.mark.parametrize("name", cells.ALL)
def test_every_cell_is_measured(name):
    torch.manual_seed(0)
    layer = Recurrent(cells.ALL[name], 2, 4, engine="reference", **cells.ALL[name].small).double().eval()
    cell, x = layer.cells[0], torch.randn(7, 2, 2, dtype=torch.float64)
    (found,) = examine(layer, x, full=True).values()

    memory = [
        part for name, part in zip(cell.state_names, cell.initial_state(x[0]), strict=True) if name not in cell.helpers
    ]
    assert found.curve.names == tuple(name for name in cell.state_names if name not in cell.helpers)
    unmeasured = {name for name, result in found.measures.items() if result is None}
    assert unmeasured == (NOT_MEASURED if any(part.is_complex() for part in memory) else set())
    size = sum(part[0].numel() * (1 + part.is_complex()) for part in memory)
    assert found.measures.spectrum.exponents.shape == (2, min(3, size))
    assert found.cause.untaken == ""
    there = found.curve.gain > 0
    expected = torch.where(there[1:] & there[:-1], found.curve.gain.log().diff(), found.cause.gain)
    torch.testing.assert_close(found.cause.gain, expected, rtol=0, atol=1e-10, equal_nan=True)


def kept(run, gradients):
    logs = []
    while (steps := (yield)) is not None:
        logs.append(kept_by_gate(steps.inner).log().flatten())
    return float(torch.cat(logs).mean())


@pytest.mark.parametrize("name", [name for name, cell in cells.ALL.items() if cell.keeps])
def test_what_a_gate_keeps_is_what_the_traced_step_hands_on(name):
    """Seen in autograd's graph of a replayed step, and in its trace: two ways to read the same step."""
    torch.manual_seed(0)
    layer = Recurrent(cells.ALL[name], 2, 4, engine="reference", **cells.ALL[name].small).double().eval()
    x = torch.randn(5, 2, 2, dtype=torch.float64)
    (by_gate,), (cause,) = each_loop(layer, x, None, measure_alone(kept)).values(), causes(layer, x).values()
    assert cause.kept == pytest.approx(math.exp(by_gate), rel=1e-9)
