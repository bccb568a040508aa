"""Every cell: each measure can be taken of it, its steps are taken apart, and what is no memory is nowhere."""

import pytest
import torch

from rnnvanish import Recurrent, cells
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
