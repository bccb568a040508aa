"""The first sentence of a report: what is wrong, where, what to do first; and no cause or half-life that contradicts it."""

import math
from dataclasses import replace

import pytest
import torch

from rnnvanish.diagnosis import Diagnosis
from rnnvanish.diagnosis.advice.trial import Trial
from rnnvanish.diagnosis.fault import Finding
from rnnvanish.diagnosis.report.text import to_text
from rnnvanish.probes.curve import Advice, Curve


def falling(half_life, lags=60, **more):
    lag = torch.arange(lags)
    return Curve(lag, 0.5 ** (lag.double() / half_life), **more)


def report(curves, findings=(), unfit=None):
    return Diagnosis("Model", curves, {"date": "today"}, findings=findings, unfit=unfit or {})


CURE = Advice("mitigations.OpenGate(bias=3.0)", 1.5, math.inf, 0.43)
RULE = Trial(
    "mitigations.ClipNorm(threshold=1.0)", -3.0, -3.0, 8.3e5, note="norm of the whole gradient 1.43e+04 → 1", helps=True
)
CLOSED = Finding(
    "closed gate", "b/layer0/forward", "They keep 0.01.", "Open them: now. Then train.", "", math.nan, math.nan
)
ASKED = Finding(
    "odd order", "", "Each row is alone.", "Say which axis is the batch.", "", math.nan, math.nan, question=True
)


@pytest.mark.parametrize(
    ("curves", "findings", "unfit", "expected"),
    [
        (
            {"a": falling(5e3), "b": falling(1.5, advice=(CURE,))},
            (),
            {},
            (
                "The gradient vanishes in b: it reaches 14 of 59 steps back; try mitigations.OpenGate(bias=3.0) first, "
                "with which 43 % of the gradient arrives."
            ),
        ),
        (
            {"a": falling(1.5), "other": falling(2.0)},
            (),
            {},
            (
                "The gradient vanishes in a (and 1 more place): it reaches 14 of 59 steps back, and nothing that was tried "
                "helps."
            ),
        ),
        (
            {"a": falling(1.5)},
            (),
            {"One()": "it cannot be copied.", "Two()": "neither."},
            (
                "The gradient vanishes in a: it reaches 14 of 59 steps back, and of the cures One() (and 1 more) could not be "
                "tried: it cannot be copied."
            ),
        ),
        (
            {"a": falling(-3.0, advice=(CURE,))},
            (),
            {},
            (
                "The gradient explodes in a: 830,000 times the gradient arrives after 59 steps; try "
                "mitigations.OpenGate(bias=3.0) first, with which 43 % of the gradient arrives."
            ),
        ),
        (
            {"a": falling(1.5, advice=(replace(CURE, gain=1.8, lag=59),))},
            (),
            {},
            (
                "The gradient vanishes in a: it reaches 14 of 59 steps back; try mitigations.OpenGate(bias=3.0) first, with "
                "which 1.8 times the gradient arrives after 59 steps."
            ),
        ),
        (
            {"a": falling(-3.0, advice=(RULE,))},
            (),
            {},
            (
                "The gradient explodes in a: 830,000 times the gradient arrives after 59 steps; try "
                "mitigations.ClipNorm(threshold=1.0) first: norm of the whole gradient 1.43e+04 → 1."
            ),
        ),
        (
            {"a": falling(1.5, advice=(CURE,))},
            (ASKED, CLOSED),
            {},
            "Closed gate in b/layer0/forward; to do first: open them: now.",
        ),
        (
            {"a": falling(40.0)},
            (),
            {},
            "Healthy: 36 % of the gradient arrives after 59 steps in a, so there is nothing to mend.",
        ),
        (
            {"a": falling(40.0), "b": falling(45.0)},
            (),
            {},
            "Healthy: in each of 2 loops at least 36 % of the gradient arrives at the far end, so there is nothing to mend.",
        ),
        ({"a": falling(40.0)}, (ASKED,), {}, "Healthy, with a question: odd order; say which axis is the batch."),
    ],
)
def test_one_sentence_says_what_where_and_what_first(curves, findings, unfit, expected):
    diagnosis = report(curves, findings, unfit)
    assert diagnosis.answer == f"Model: {expected}"
    assert " ".join(str(diagnosis).split()).startswith(diagnosis.answer)


UNREAD = Curve(torch.arange(60), torch.full((60,), torch.nan))
ONE_STEP = Curve(torch.arange(1), torch.ones(1, dtype=torch.float64))
CUT_OFF = replace(ONE_STEP, notes=("Its first state arrives detached: the gradient ends there.",))


@pytest.mark.parametrize(
    ("curves", "layers", "says"),
    [
        ({"a/layer0/forward": falling(40.0), "b/layer0/forward": falling(1.5)}, ("a",), "Healthy: 36 %"),
        ({"a/layer0/forward": falling(40.0), "b/layer0/forward": falling(1.5)}, ("b",), "The gradient vanishes in b"),
        (
            {"a/layer0/forward": falling(40.0), "b/layer0/forward": UNREAD},
            (),
            "No part of b/layer0/forward is read by this loss",
        ),
        ({"a/layer0/forward": falling(40.0), "b/layer0/forward": UNREAD}, ("a",), "Healthy: 36 %"),
        ({"a/layer0/forward": falling(40.0), "a/layer0/reverse": UNREAD}, (), "Healthy: 36 %"),
        (
            {"a": CUT_OFF},
            (),
            "a has a gradient in a single step, so nothing is carried back: its state arrives detached.",
        ),
        (
            {"a/layer0/forward": ONE_STEP},
            (),
            (
                "a/layer0/forward ran for a single step, so there is nothing to carry: give it sequences of several steps. "
                "Where the loop over steps is your training's own, rnnvanish.watch(model)"
            ),
        ),
    ],
)
def test_it_is_healthy_just_where_the_diagnosis_is(curves, layers, says):
    diagnosis = Diagnosis("Model", curves, {"date": "today"}, layers=layers)
    assert diagnosis.answer.startswith(f"Model: {says}")
    assert says.startswith("Healthy") == (diagnosis.healthy and not diagnosis.unread)


def test_nothing_could_be_tried_is_not_nothing_helps():
    said = " ".join(str(report({"a": falling(1.5)}, unfit={"One()": "it cannot be copied."})).split())
    assert "tried One() could not be tried: it cannot be copied" in said
    assert "nothing that was tried helps" not in said
    assert "tried nothing that was tried helps here" in " ".join(str(report({"a": falling(1.5)})).split())


@pytest.mark.parametrize("full", [False, True])
def test_a_half_life_without_end_says_what_arrives(full):
    kept = Curve(torch.arange(50), torch.full((50,), 0.43).index_fill(0, torch.tensor(0), 1.0).double())
    diagnosis = report({"a": kept, "b": falling(1.5, advice=(CURE,))})
    assert math.isinf(diagnosis.curves["a"].half_life)
    assert str(kept) == "healthy: half-life nothing further is lost after 43 % after 49 steps"
    text = " ".join("\n".join(row for layer in diagnosis.contents(full).layers for _, row in layer.rows).split())
    assert "43 % of the gradient after 49 steps: nothing further is lost after 43 %" in text
    assert "half-life 1.5 → nothing further is lost after 43 %" in text
    assert "inf" not in text


@pytest.mark.parametrize("full", [False, True])
def test_no_name_commands_a_terminal(full):
    evil = "\x1b[31m"
    cured = falling(1.5, advice=(Advice(evil, 1.5, 3.0, 0.1),), notes=(evil,))
    told = to_text(report({evil: cured, f"{evil}b": falling(1.6)}, unfit={evil: evil}).contents(full))
    assert "\x1b" not in told
    assert told.count(r"\x1b[31m") >= 3


def test_what_a_layer_above_adds_is_told_apart():
    lag = torch.arange(60)
    curve = Curve(lag, 2.0 ** lag.double(), fed=True, alone=falling(1.5))
    said = " ".join(str(report({"a": curve})).split())
    assert "a: vanishing ███▇▇▆" in said
    assert "....  0 to 59 steps back" in str(report({"a": curve}))
    assert "1 in 690 billion of the gradient after 59 steps, step by step; a layer above adds more on the way" in said
