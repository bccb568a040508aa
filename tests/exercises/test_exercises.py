"""Exercises: what is read of an answer, when it is right, and that every one has an answer that can be measured."""

import json
import math
from itertools import groupby

import pytest

from rnnvanish.__main__ import main
from rnnvanish.exercises import ALL, PARTS, Exercise, in_plain_words
from rnnvanish.exercises.exercise import read


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("about 25", 25),
        ("25 steps, I think", 25),
        ("0.53", 0.53),
        ("12 %", 0.12),
        ("12 per cent", 0.12),
        ("1 in 330,000", 1 / 330_000),
        ("1 in 26 billion", 1 / 26e9),
        ("3 million", 3e6),
        ("2e-7", 2e-7),
        ("Nothing.", 0),
        ("409,864", 409_864),
    ],
)
def test_a_number_is_read_as_people_say_it(said, value):
    assert read(said) == pytest.approx(value, rel=1e-12)


def test_an_answer_without_a_number_is_refused():
    with pytest.raises(ValueError, match=r"needs a number.*got 'much'"):
        read("much")


def exercise(measured, within=1.0):
    return Exercise("1.1", "How much?", "look", lambda: measured, "Because.", within)


@pytest.mark.parametrize(
    ("measured", "within", "said", "right"),
    [
        (10.0, 1.2, "12", True),
        (10.0, 1.2, "8.4", True),
        (10.0, 1.2, "12.1", False),
        (10.0, 1.2, "8.3", False),
        (3.0, 1, "3", True),
        (3.0, 1, "3.01", False),
        (0.0, 1, "none", True),
        (0.0, 10, "0.1", False),
        ("grow", 1, "It grows.", True),
        ("grow", 1, "shrink", False),
        ("no", 1, "nothing of it", False),
    ],
)
def test_right_is_what_is_close_enough(measured, within, said, right):
    assert exercise(measured, within).judge(said) == (right, measured)


@pytest.mark.parametrize(
    ("measured", "words"), [(1184.0, "1184"), (0.2, "0.2"), (1 / 5000, "1 in 5,000"), ("no", "no"), (0.0, "0")]
)
def test_what_was_measured_is_said_plainly(measured, words):
    assert in_plain_words(measured) == words


def test_each_section_has_three_in_their_order():
    numbers = [each.number for part in PARTS.values() for each in part]
    assert {section: len(list(of)) for section, of in groupby(numbers, lambda number: number.partition(".")[0])} == {
        str(section): 3 for section in range(1, 20)
    }
    assert list(ALL) == numbers


@pytest.mark.parametrize("number", ALL)
def test_the_answer_can_be_measured_and_another_is_wrong(number):
    each = ALL[number]
    measured = each.measure()
    other = "perhaps" if isinstance(measured, str) else str(measured * each.within * 1.5 + 1e-300 + (measured == 0))
    assert each.judge(f"{measured}")[0]
    assert not each.judge(other)[0]


@pytest.mark.parametrize(
    ("number", "answer"),
    [("5.1", 0.9**49), ("9.1", math.log(2)), ("14.1", 1), ("14.2", 0.05), ("16.1", 0.9**10), ("16.2", 0.5**10)],
)
def test_answers_that_are_known_without_measuring(number, answer):
    assert ALL[number].measure() == pytest.approx(answer, rel=1e-9)


@pytest.mark.parametrize(
    ("answer", "code", "words"), [("about 0.0057", 0, "Right: 1 in 175"), ("0.1", 1, "Not right: 1 in 175")]
)
def test_the_command_says_whether_it_is_right(capsys, answer, code, words):
    assert main(["check", "5.1", answer]) == code
    assert words in capsys.readouterr().out


def test_the_command_shows_questions_and_says_what_it_does_not_know(capsys):
    assert main(["check"]) == 0
    assert capsys.readouterr().out.count("\n") == len(ALL)
    assert main(["check", "5.1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["question"] == ALL["5.1"].question
    assert main(["check", "99.1", "3"]) == 2
    assert "no exercise '99.1'" in capsys.readouterr().err
    assert main(["check", "5.1", "much"]) == 2
    assert "needs a number" in capsys.readouterr().err
