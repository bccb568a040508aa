"""What was measured of a cure, in words: of results that are known, and where some are missing."""

import pytest

from rnnvanish.experiments.cure_prices import Price
from rnnvanish.experiments.cure_study import Trained
from rnnvanish.experiments.cure_words import in_a_table, price, sentences, when_not

PLAIN = Trained({20: True, 60: False, 180: False}, (0.4, 0.5, 0.45))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (
            Trained({20: True, 60: True, 180: False}, (0.2, 0.21, 0.2)),
            (
                "A GRU learnt what lies 20 steps back without it, and what lies 60 steps back with it. "
                "Of handwritten digits 45% were right without it, and 20% with it: it hurts."
            ),
        ),
        (
            Trained({20: False}),
            (
                "A GRU learnt what lies 20 steps back without it, and nothing with it. No longer way than 20 steps was tried. "
                "It was not tried on handwritten digits."
            ),
        ),
        (
            Trained({20: True, 60: False, 180: False}, (0.4, 0.5, 0.45)),
            (
                "A GRU learnt what lies 20 steps back, with it and without. "
                "Of handwritten digits 45% were right without it, and 45% with it: no more than chance."
            ),
        ),
        (
            Trained({20: True, 60: None, 180: None}, (), None, {"recall": 2, "digits": 1}),
            (
                "How far back a GRU learns with it is not known yet: 2 trainings are missing. "
                "What it does on handwritten digits is not known yet: 1 training is missing."
            ),
        ),
    ],
)
def test_what_was_measured_is_said(after, said):
    assert sentences("GRU", PLAIN, after) == said


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (Trained({20: True, 60: True, 180: False}, (0.2, 0.21, 0.2)), "20 → 60<br>45% → 20%"),
        (Trained({20: False}), "20 → none of 20<br>–"),
        (Trained({20: True, 60: None, 180: None}, (), None, {"recall": 2, "digits": 1}), "missing<br>missing"),
    ],
)
def test_what_was_measured_stands_in_a_table(after, said):
    assert in_a_table(PLAIN, after) == said


def test_where_a_cure_hurts_is_said():
    worse, shorter = Trained({20: True, 60: False}, (0.2, 0.21, 0.2)), Trained({20: False, 60: False}, (0.4, 0.5, 0.45))
    assert when_not({"LSTM": (PLAIN, worse), "GRU": (PLAIN, shorter), "tanh": (PLAIN, worse)}) == (
        "When not to: it learnt less far back in a GRU, and it made an LSTM and a plain network worse at handwritten digits."
    )
    assert when_not({"LSTM": (PLAIN, PLAIN), "GRU": (PLAIN, Trained({}))}) == "It was not seen to hurt here."
    assert when_not({"GRU": (PLAIN, Trained({20: None}, (), None, {"recall": 9}))}) == ""


def test_what_was_not_tried_is_not_missing():
    unknown = Trained({20: None}, (), None, {"recall": 9, "digits": 6})
    assert in_a_table(unknown, Trained({20: True})) == "missing<br>–"
    assert in_a_table(unknown, PLAIN) == "missing<br>missing"


def test_a_price_is_said_network_by_network_and_what_is_not_known_is_left_out():
    assert price({"LSTM": Price(1.234, 1.0, 4.4), "tanh": Price(20.0, 2.75, None)}) == [
        "What it costs in an LSTM: time of a training step 1.2 ×, memory 4.4 ×, weights 1 ×.",
        "What it costs in a plain network: time of a training step 20 ×, weights 2.75 ×.",
    ]
