"""The numbers on the axes of a chart, in a browser."""

import itertools
from pathlib import Path

import pytest

DRAW = Path(__file__).resolve().parents[2] / "docs/assets/draw.js"


@pytest.fixture(scope="module")
def ticks(browser):
    page = browser.new_page()
    page.add_script_tag(path=DRAW)
    yield lambda *given: page.evaluate("given => rvDraw.ticks(...given)", given)
    page.close()


def test_an_axis_has_round_numbers_within_its_range(ticks):
    assert ticks(0, 99, 5) == [0, 20, 40, 60, 80]
    assert ticks(0, 1, 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert ticks(-13, 0, 5, True) == [-12, -9, -6, -3, 0]


def test_an_axis_has_two_numbers_at_least_however_narrow_it_is(ticks):
    for low, high in itertools.product([0, 1, 3, 7], [9, 40, 99, 100, 250]):
        for most in (2, 3, 5):
            assert len(ticks(low, high, most)) >= 2, (low, high, most)
    assert ticks(1, 99, 2) == [20, 40, 60, 80]  # else 50 alone
    assert len(ticks(4, 4, 5)) == 1
