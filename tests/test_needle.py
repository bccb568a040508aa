"""The picture of a verdict: everything stands in its order, nothing covers anything, the alt text says what one sees."""

import itertools
import math
from xml.etree import ElementTree

import pytest

from rnnvanish.templates.needle import LETTER, WIDTH, Scale, Zone, needle

INFINITE = math.inf
HOLDS_HIGH = [Zone("holds", 6, INFINITE), Zone("fails", -INFINITE, 1)]
CASES = {
    "linear": (HOLDS_HIGH, (4.0, 7.0, 8.0), "holds"),
    "factors": ([Zone("holds", -INFINITE, 1e-12), Zone("fails", 1e-3, INFINITE)], (4e-16, 6e-16), "holds"),
    "zeros": ([Zone("holds", -INFINITE, 1e-12), Zone("fails", 1e-3, INFINITE)], (0.0, 0.0), "holds"),
    "infinite": (HOLDS_HIGH, (INFINITE, INFINITE, 7.0), "holds"),
    "negative": ([Zone("holds", -1e-6, INFINITE), Zone("fails", -INFINITE, -5e-3)], (-0.07, -0.7), "fails"),
    "one number": ([Zone("holds", -INFINITE, 0), Zone("fails", 1e-3, INFINITE)], (0.5, 0.6), "fails"),
    "inside": ([Zone("holds", 1.8, 2.2), Zone("fails", -INFINITE, 1.2)], (2.0,), "holds"),
    "three": (
        [Zone("holds", 1e3, INFINITE), Zone("caveat", 1e-4, 100), Zone("fails", -INFINITE, 1e-5)],
        (0.1, 0.5),
        "caveat",
    ),
    "all alike": ([Zone("holds", 0, INFINITE)], (0.0,), "holds"),
}


def drawn(case):
    root = ElementTree.fromstring(needle(*CASES[case], "steps"))
    return root, [(float(text.get("x")), float(text.get("y")), text.text) for text in root.iter("text")]


@pytest.mark.parametrize("case", CASES)
def test_texts_of_a_row_cover_no_other_and_stay_inside(case):
    _, texts = drawn(case)
    for row in {y for _, y, _ in texts}:
        ends = sorted((x - LETTER * len(text) / 2, x + LETTER * len(text) / 2) for x, y, text in texts if y == row)
        assert all(right <= left for (_, right), (left, _) in itertools.pairwise(ends))
        assert ends[0][0] >= -0.1
        assert ends[-1][1] <= WIDTH + 0.1


@pytest.mark.parametrize("case", CASES)
def test_the_needle_stands_in_the_zone_of_its_verdict(case):
    root, _ = drawn(case)
    at = float(root.find("path").get("d").split()[0][1:])
    bands = [rect for rect in root.iter("rect") if rect.get("class") == f"rv-{CASES[case][2]}"]
    assert any(float(b.get("x")) <= at <= float(b.get("x")) + float(b.get("width")) for b in bands)
    assert len(list(root.iter("circle"))) == len(CASES[case][1])


@pytest.mark.parametrize("numbers", [(-3, -1, 0, 2, 50), (0, 1e-20, 3, 4e5), (0.1, 0.2, INFINITE), (5.0,)])
def test_places_keep_the_order_of_numbers(numbers):
    places = [Scale(numbers)(number) for number in (-INFINITE, *numbers, INFINITE)]
    assert places == sorted(places)
    assert places[0] < places[-1]


def test_only_numbers_of_one_sign_stand_on_a_scale_of_factors():
    assert Scale((0, 1, 100)).factors
    assert not Scale((1, 20)).factors
    assert not Scale((-1, 1e-9, 100)).factors


def test_the_alt_text_says_what_one_sees():
    root, texts = drawn("linear")
    assert root.get("aria-label") == (
        "Does not hold up to 1; holds from 6. The needle stands at 7: holds. 3 results lie from 4 to 8."
    )
    assert {text for _, _, text in texts} == {"1", "6", "7 steps", "does not hold", "holds"}
    assert "scale is a factor" in drawn("factors")[0].get("aria-label")
    assert "∞" in [text for _, _, text in drawn("infinite")[1]]


def test_there_is_no_place_for_what_is_no_number():
    assert needle(HOLDS_HIGH, (math.nan, 7.0, 8.0), "holds", "steps") == ""
