"""Comparing two reports: by hand-made half-lives, and as the command line does it in somebody's CI."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from rnnvanish import diagnose
from rnnvanish.__main__ import main
from rnnvanish.diagnosis import compare


def report(**half_lives):
    """A report of 101 lags whose layers have these half-lives."""
    return {"layers": {name: layer(half_life) for name, half_life in half_lives.items()}}


def layer(half_life, verdict="vanishing", reach=50, joined=False):
    return {"verdict": verdict, "half_life": half_life, "reach": reach, "joined": joined, "gain": [1.0] * 101}


def odd(key, value):
    """The JSON of a report with one odd value."""
    sound = {"verdict": '"vanishing"', "half_life": "2.0", "reach": "3", "joined": "false", "gain": "[1, null]"}
    inside = ", ".join(f'"{name}": {each}' for name, each in (sound | {key: value}).items())
    return '{"schema": 1, "layers": {"a": {' + inside + "}}}"


@pytest.mark.parametrize(
    ("before", "after", "tolerance", "fell"),
    [
        (10.0, 8.0, 0.2, False),
        (10.0, 7.99, 0.2, True),
        (10.0, 9.9, 0.0, True),
        (10.0, 30.0, 0.0, False),
        ("infinity", 5000.0, 0.2, False),  # over 100 steps nobody can tell them apart
        ("infinity", 700.0, 0.2, True),
        (9e9, "infinity", 0.2, False),
    ],
)
def test_it_fell_when_more_than_the_share_of_the_half_life_is_lost(before, after, tolerance, fell):
    comparison = compare(report(lstm=before), report(lstm=after), tolerance)
    assert comparison.fell is fell
    assert ("FELL  lstm: half-life" in str(comparison)) is fell


def test_it_says_which_layer_from_what_to_what():
    comparison = compare(report(a=10.0, b=10.0, old=3.0), report(a=10.0, b=2.5, new=3.0))
    assert str(comparison).splitlines() == [
        "kept  a: half-life 10 → 10 steps, all arrives",
        "FELL  b: half-life 10 → 2.5 steps, all arrives",
        "new   new: not in the earlier report",
        "gone  old: only in the earlier report",
        "Retention fell by more than 20 % in 1 of 2 layers.",
    ]
    assert (comparison.appeared, comparison.disappeared) == (("new",), ("old",))


def test_a_half_life_without_end_says_what_arrives():
    earlier, later = report(a="infinity"), report(a="infinity")
    later["layers"]["a"]["gain"][-1] = 0.43
    (change,) = compare(earlier, later).changes
    assert str(change) == "kept  a: half-life without end → nothing further is lost after 43 %"


def test_a_layer_read_at_several_ends_is_compared_by_its_reach():
    before, after = layer(None, reach=50, joined=True), layer(9.0, reach=39)
    (change,) = compare({"layers": {"a": before}}, {"layers": {"a": after}}).changes
    assert (change.measure, change.before, change.after, change.fell) == ("reach", 50, 39, True)


@pytest.mark.parametrize("verdict", ["exploding", "not read"])
def test_what_explodes_now_or_is_not_measured_any_more_has_fallen(verdict):
    worse = {"layers": {"a": layer("infinity" if verdict == "exploding" else None, verdict)}}
    assert compare(report(a=10.0), worse).fell
    assert not compare(worse, worse).fell


def test_a_diagnosis_compares_with_the_json_that_it_wrote(tmp_path):
    torch.manual_seed(0)
    diagnosis = diagnose(nn.GRU(2, 4), torch.randn(20, 2, 2))
    path = diagnosis.to_json(tmp_path / "earlier.json")
    assert not compare(path, diagnosis, tolerance=0.0).fell
    worse = json.loads(path.read_text())
    worse["layers"]["GRU/layer0/forward"]["half_life"] /= 2
    assert compare(diagnosis, worse).fell
    assert not compare(worse, path).fell


def test_a_report_of_the_first_version_can_still_be_compared_with(tmp_path, capsys):
    """Written by the code of that version, of this very model."""
    earlier = Path(__file__).with_name("report_of_schema_1.json")
    assert json.loads(earlier.read_text())["schema"] == 1
    torch.manual_seed(0)
    layer, x = nn.GRU(2, 4), torch.randn(12, 2, 2)
    (change,) = compare(earlier, diagnose(layer, x), tolerance=0.01).changes
    assert (change.layer, change.fell) == ("GRU/layer0/forward", False)
    assert change.after == pytest.approx(change.before, rel=1e-3)
    with torch.no_grad():
        layer.bias_hh_l0[4:8] = -4.0
    assert compare(earlier, diagnose(layer, x)).fell
    (tmp_path / "net.py").write_text(MODEL)
    assert main(["diagnose", f"{tmp_path}/net.py:closed", "--against", str(earlier)]) == 1
    assert "FELL  GRU/layer0/forward: half-life 1.36 → " in capsys.readouterr().out


def test_wrong_use_in_python():
    with pytest.raises(ValueError, match=r"tolerance in \[0, 1\).*got 1"):
        compare(report(a=1.0), report(a=1.0), tolerance=1.0)
    with pytest.raises(ValueError, match="no layer in common: the earlier has a, the later b"):
        compare(report(a=1.0), report(b=1.0))


MODEL = """
import torch
from torch import nn

def build(bias=0.0):
    layer = nn.GRU(2, 8)
    with torch.no_grad():
        layer.bias_hh_l0[8:16] = bias
    return layer, torch.randn(30, 2, 2)

def closed():
    return build(-4.0)

def other():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = nn.GRU(2, 8)
        def forward(self, x):
            return self.memory(x)[0][-1]
    return Model(), torch.randn(30, 2, 2)
"""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A report of the first model, made once."""
    path = tmp_path_factory.mktemp("earlier")
    (path / "net.py").write_text(MODEL)
    assert main(["diagnose", f"{path}/net.py:build", "--out", str(path)]) == 1
    return (path / "report.json").read_text()


@pytest.fixture
def folder(tmp_path, monkeypatch, earlier):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(MODEL)
    (tmp_path / "earlier.json").write_text(earlier)
    return tmp_path


def test_a_regression_test_for_other_peoples_ci(folder, capsys):
    """Whatever the verdict: 0 where nothing fell, 1 where it did."""
    assert main(["diagnose", "net.py:build", "--against", "earlier.json"]) == 0
    assert "Retention fell by more than 20 % in 0 of 1 layers." in capsys.readouterr().out
    assert main(["diagnose", "net.py:closed", "--against", "earlier.json", "--tolerance", "0.5", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["comparison"]["changes"][0]["fell"] is True


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (None, [], "earlier.json: No such file"),
        ("{", [], "earlier.json is no JSON: Expecting property name"),
        ("\x00\x01", [], "earlier.json is no JSON"),
        ("[1, 2]", [], "earlier.json holds other JSON"),
        ('{"schema": 1}', [], "earlier.json holds other JSON"),
        ('{"schema": 99, "layers": {}}', [], "a report of schema 99, and this rnnvanish reads 1 to 3: make it again"),
        ('{"schema": 1, "layers": {}}', [], "no layer in common"),
        ('{"schema": 1, "layers": {"GRU/layer0/forward": {"half_life": 3}}}', [], "lacks 'verdict'"),
        ('{"schema": true, "layers": {}}', [], "a report of schema True"),
        ('{"schema": 1.0, "layers": {}}', [], "a report of schema 1.0"),
        ('{"schema": [1], "layers": {}}', [], "a report of schema [1]"),
        ('{"schema": 1, "schema": 1, "layers": {}}', [], "it has 'schema' twice"),
        ("[" * 100_000, [], "is no JSON"),
        ('{"schema": ' + "1" * 5000 + "}", [], "A report is needed"),
        (odd("half_life", "[1]"), [], "'half_life' of the layer 'a' has to be a number of steps"),
        (odd("half_life", "true"), [], "'half_life' of the layer 'a' has to be a number of steps"),
        (odd("half_life", "-1"), [], "'half_life' of the layer 'a' has to be a number of steps"),
        (odd("half_life", "NaN"), [], "NaN is no number of JSON"),
        (odd("half_life", "1e999"), [], "'half_life' of the layer 'a' has to be a number of steps"),
        (odd("half_life", "1" + "0" * 400), [], "'half_life' of the layer 'a' has to be a number of steps"),
        (odd("reach", "1.5"), [], "'reach' of the layer 'a' has to be a whole number of steps"),
        (odd("joined", "0"), [], "'joined' of the layer 'a' has to be true or false"),
        (odd("gain", "{}"), [], "'gain' of the layer 'a' has to be a list of numbers"),
        (odd("gain", '["x"]'), [], "'gain' of the layer 'a' has to be a list of numbers"),
        (odd("verdict", "null"), [], "'verdict' of the layer 'a' has to be a word"),
        ('{"schema": 1, "layers": {"GRU/layer0/forward": 3}}', [], "is no layer"),
        ("same", ["--tolerance", "1.5"], "--tolerance needs a share of the half-life"),
        ("same", ["--tolerance", "much"], "tolerance"),
    ],
    ids=lambda value: "".join(filter(str.isalnum, str(value)))[:20],
)
def test_a_wrong_earlier_report_is_one_line_and_exit_code_2(folder, capsys, content, options, said):
    path = folder / "earlier.json"
    if content is None:
        path.unlink()
    elif content != "same":
        path.write_text(content)
    assert main(["diagnose", "net.py:build", "--against", "earlier.json", *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_report_of_another_model_is_wrong_use(folder, capsys):
    assert main(["diagnose", "net.py:other", "--against", "earlier.json"]) == 2
    assert "no layer in common: the earlier has GRU/layer0/forward, the later memory/" in capsys.readouterr().err
