"""Every cell against its paper's equations, written again one number at a time (`equations/`)."""

import pytest
from oracle import assert_follows_equations, equations, options_of

from rnnvanish import cells

CASES = [
    pytest.param(name, options, id="-".join([name, *map(str, options.values())]))
    for name in cells.ALL
    if equations(name)
    for options in options_of(name)
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_cell_is_its_papers_equations(name, options):
    assert_follows_equations(cells.ALL[name], name, **options)
