"""A short report fits a screen, whatever was found, and says what it leaves out; its bars do not contradict its verdict."""

import math

import pytest
import torch

from rnnvanish.diagnosis import Diagnosis
from rnnvanish.diagnosis.fault import Finding
from rnnvanish.diagnosis.report.text import bars, sparkline, to_text
from rnnvanish.probes.curve import Advice, Curve

LONG = "A sentence that says at some length what was seen in this layer of the model, and then goes on. " * 3


def curve(half_life, **more):
    lag = torch.arange(300)
    cures = tuple(Advice(f"mitigations.Cure(number={i})", 1.5, 20.0 - i, 0.1) for i in range(6))
    return Curve(lag, 0.5 ** (lag.double() / half_life), cause=LONG, advice=cures, **more)


def diagnosis(layers, findings):
    found = [
        Finding(f"fault {i}", f"part{i}", LONG, LONG, "of the gradient, what arrives", 0.1, 0.2)
        for i in range(findings)
    ]
    curves = {f"{chr(97 + i)}/layer0/forward": curve(1.5 + 9 * i) for i in range(layers)}
    return Diagnosis("Model", curves, {"date": "today"}, findings=tuple(found))


@pytest.mark.parametrize("layers", [1, 3, 12])
@pytest.mark.parametrize("findings", [0, 1, 3, 9])
def test_the_first_answer_fits_a_screen_and_counts_what_it_leaves_out(layers, findings):
    report = diagnosis(layers, findings)
    short, full = str(report), to_text(report.contents(full=True))
    assert sum(max(1, math.ceil(len(line) / 80)) for line in short.splitlines()) <= 30
    assert "--full" in short
    assert full.count("fault ") >= findings
    for name in report.curves:
        assert f"\n{name}: " in full
    shown = sum(f"{name}: " in short for name in report.curves)
    assert shown == layers or f"and {layers - shown} more" in short
    told = sum(f"fault {i} in" in short for i in range(findings))
    assert told == findings or f"FOUND: {findings - told} more" in short


def test_the_worst_is_told_in_full():
    report = diagnosis(3, 0)
    assert "a/layer0/forward: vanishing\n" in str(report)
    assert "c/layer0/forward: healthy" not in str(report).partition("a/layer0/forward: vanishing\n")[0]


def test_no_full_bar_beside_vanishing():
    """A dip of one step in a thousand is seen."""
    gain = torch.ones(1000, dtype=torch.float64)
    gain[517] = 1e-5
    dipped = Curve(torch.arange(1000), gain)
    assert dipped.verdict == "vanishing"
    assert len(bars(dipped)) == 40
    assert set(bars(dipped)) == {"█", "▂"}


def test_what_explodes_rises():
    assert bars(Curve(torch.arange(5), 10.0 ** torch.arange(0, 10, 2).double())) == "▁▃▅▇█"
    assert sparkline(torch.tensor([1.0, 10.0, 0.1]), grows=True) == "▁█."
