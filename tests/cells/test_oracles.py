"""Every cell against what is independent of its equations: torch's own, a reduction, a closed form (`oracles/`)."""

import pytest
from oracle import assert_passes, oracles

from rnnvanish import cells

CASES = [pytest.param(name, called, id=f"{name}-{called}") for name in cells.ALL for called in oracles(name)]


@pytest.mark.parametrize(("name", "called"), CASES)
def test_a_cell_passes_its_oracle(name, called):
    assert_passes(cells.ALL[name], oracles(name)[called])
