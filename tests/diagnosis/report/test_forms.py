"""Terminal, text, page and JSON say the same: statements of each are looked for in the others."""

import functools
import html
import io
import json
import math
import re

import pytest
import torch
from rich.console import Console
from torch import nn

import rnnvanish
from rnnvanish import diagnose
from rnnvanish.diagnosis import Diagnosis
from rnnvanish.diagnosis.advice.trial import Trial
from rnnvanish.diagnosis.fault import Finding
from rnnvanish.diagnosis.report.terminal import to_terminal
from rnnvanish.diagnosis.report.text import to_text
from rnnvanish.probes.curve import Curve
from rnnvanish.records.version import this_commit, version_and_commit


def closed():
    model = nn.LSTM(2, 8)
    with torch.no_grad():
        model.bias_hh_l0[8:16] = -6.0
    return diagnose(model, torch.randn(20, 4, 2), quick=True)


def layers():
    """What no small model has all at once."""
    lag = torch.arange(60)
    gain = 0.5 ** (lag / 1.4).double()
    cures = tuple(Trial(f"mitigations.OpenGate(bias={i})", 1.4, math.inf, 0.43, apply=f"type {i}") for i in range(5))
    whole = Curve(lag, torch.ones(60, dtype=torch.float64))
    said = {"cause": "The gates are shut.", "notes": ("It began anew.",), "start": "One step of sixty.", "total": whole}
    vanishing = Curve(lag, gain, {"h": gain / 2, "c": gain}, advice=cures, recurrent=gain, **said)
    question = Finding(
        "odd order", "", "Each row is alone.", "Say which axis is the batch.", "", 0.1, math.nan, question=True
    )
    curves = {f"lstm/layer{i}/forward": vanishing for i in range(3)} | {
        "unread/layer0/forward": Curve(lag, torch.full((60,), torch.nan)),
        "kept/layer0/forward": Curve(lag, torch.full((60,), 0.43).index_fill(0, lag[:1], 1.0).double()),
        "grown/layer0/forward": Curve(lag, 1 / gain),
    }
    return Diagnosis("Model", curves, {"date": "today"}, findings=(question,), unfit={"Swap()": "It has one already."})


def single():
    return diagnose(nn.GRU(2, 4), torch.randn(1, 3, 2))


@functools.cache
def made(make):
    torch.manual_seed(0)
    return make()


def words(text):
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


def forms(report, folder):
    """Every form of the whole report, as words alone."""
    file = io.StringIO()
    Console(file=file, width=200).print(to_terminal(report.contents(full=True)))
    page = report.to_html(folder / "report.html").read_text()
    return {
        "text": words(to_text(report.contents(full=True))),
        "terminal": words(file.getvalue()),
        "page": words(html.unescape(re.sub("<[^>]*>", " ", page))),
    }


@pytest.mark.parametrize("make", [closed, layers, single], ids=lambda make: make.__name__)
def test_what_one_says_the_others_say(make, tmp_path):
    report = made(make)
    data = json.loads(report.to_json(tmp_path / "report.json").read_text())
    statements = [data["answer"]]
    for finding in data["findings"]:
        statements += [finding["seen"], finding["remedy"]]
    for name, layer in data["layers"].items():
        statements += [
            name,
            layer["verdict"],
            layer["cause"],
            *layer["notes"],
            *(cure["cure"] for cure in layer["advice"]),
        ]
    statements += [data["outlook"]["says"]] if data["outlook"] else []
    for each in report.contents(full=True).layers:
        statements += [said for _, said in (*each.rows, *each.more)]
    for form, told in forms(report, tmp_path).items():
        missing = [each for each in statements if words(each) not in told]
        assert missing == [], form


@pytest.mark.parametrize("make", [closed, layers, single], ids=lambda make: make.__name__)
def test_the_short_forms_say_nothing_that_the_whole_does_not(make):
    report = made(make)
    whole, short = words(to_text(report.contents(full=True))), report.contents()
    for layer in short.layers:
        assert all(words(said) in whole for label, said in layer.rows if label != "alike")
    assert short.answer == report.answer
    file = io.StringIO()
    Console(file=file, width=200).print(report)
    assert words(to_text(short).partition("\n\n")[0]) in words(file.getvalue())


def test_every_form_says_version_and_commit(tmp_path):
    report = made(single)
    said = f"rnnvanish {version_and_commit()}"
    short = {"short": words(str(report))}
    assert [form for form, told in (forms(report, tmp_path) | short).items() if said not in told] == []
    kept = json.loads(report.to_json())["provenance"]
    assert (kept["rnnvanish"], kept.get("commit")) == (rnnvanish.__version__, this_commit())
