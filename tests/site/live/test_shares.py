"""Shares in words, and as ink."""

import pytest

SAID = {
    "1": "all of it",
    "0.5": "50 %",
    "0.0995": "10 %",
    "0.0994": "1 in 10",
    "0.05": "1 in 20",
    "0.001": "1 in a thousand",
    "0.000996": "1 in a thousand",
    "3.1e-6": "1 in 320 thousand",
    "1e-9": "1 in a billion",
    "3.2e-10": "1 in 3.1 billion",
    "2e-20": "1 in 10²⁰",
    "5e-324": "1 in 10³²³",
    "12": "12 times as much",
    "0": "nothing",
    "NaN": "nothing",
}


def test_shares_in_words(engine):
    assert {x: engine.evaluate(f"rv.share({x})") for x in SAID} == SAID


@pytest.mark.parametrize(("x", "ink"), [("1", 1), ("1e-3", 0.5), ("1e-6", 0), ("1e-9", 0), ("7", 1), ("0", 0)])
def test_ink_goes_evenly_in_powers_of_ten(engine, x, ink):
    assert engine.evaluate(f"rv.ink({x})") == pytest.approx(ink, abs=1e-12)
    assert engine.evaluate(f"rv.ink({x}, 12)") >= ink
