"""From recorded results to the commit that made a number worse."""

import json
import math
import re

import pytest

from bench.commands import compare
from bench.stored import regressions
from bench.stored.results import Commit, Point, Series, read, unmeasured

COMMITS = [Commit(f"{place:040x}", place, "2026-01-01", f"commit {place}") for place in range(20)]


def series(*values):
    points = tuple(Point(commit, value, {}) for commit, value in zip(COMMITS, values, strict=False))
    return Series("machine", "environment", "speed.Step.track", ("GRU",), points)


def places(values, unit="x torch.nn"):
    return [found.commit.place for found in regressions.regressions(series(*values), unit)]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1.66, 1.31, 1.29, 1.33, 1.30, 1.29, 1.59, 1.60, 1.60, 1.66, 1.63, 1.65], [6]),  # asv's own rule: nothing
        ([1, 1, 1, 1.4, 1, 1], []),  # a single high point is noise
        ([1, 1, 1, 1.4], []),  # the newest has no successor that confirms it
        ([1, 1.1, 1, 1.1, 1, 1.1], []),
        ([1, None, 1.5, None, 1.5], [2]),  # what could not be measured hides nothing
        ([1, 1, 2, 2, 1, 1, 2, 2], [2, 6]),  # mended, and broken again
        ([1, 1, 2, 2, 4, 4], [2, 4]),
    ],
)
def test_a_ratio_is_worse_when_it_stays_so(values, found):
    assert places(values) == found


@pytest.mark.parametrize(
    ("values", "found"), [([20, 20, 21], [2]), ([20, 20, 20.1], []), ([20, 10, 10, 20], [3]), ([20, None, 21], [2])]
)
def test_an_exact_number_is_worse_at_once(values, found):
    assert places(values, "decades") == found


def test_seconds_are_never_judged():
    assert places([1, 1, 9, 9], "seconds") == []


def test_a_regression_knows_by_how_much_and_when_it_was_mended():
    (found,) = regressions.regressions(series(10, 10, 20, 20, 10), "decades")
    assert (found.factor, found.mended) == (2.0, COMMITS[4])
    assert str(found).startswith(f"speed.Step.track(GRU) at {COMMITS[2].short}: 2.00 times")


def test_a_commit_is_not_blamed_alone_for_those_before_it_that_were_not_measured():
    (found,) = regressions.regressions(series(10, None, 20), "decades")
    assert found.where == f"{COMMITS[2].short} (or one since {COMMITS[0].short})"


def written(folder, place, values, **more):
    """One file of results, as asv writes it."""
    rows = {"retention.track": [values, [["'GRU'", "'LSTM'"]], "1"]}
    data = {
        "commit_hash": COMMITS[place].hash,
        "env_name": "environment",
        "result_columns": ["result", "params", "version"],
        "results": rows,
        "provenance": [{"benchmarks": ["retention.track"], "busy": True, **more}],
    }
    (folder / "machine").mkdir(exist_ok=True)
    (folder / "machine/machine.json").write_text("{}")
    (folder / f"machine/{place:08}-environment.json").write_text(json.dumps(data))


def test_reading_keeps_failures_leaves_out_skips_and_sorts_by_history(tmp_path):
    written(tmp_path, 7, [1.5, None])
    written(tmp_path, 3, [1.0, math.nan])
    written(tmp_path, 9, None, unbuilt="ImportError: planted")
    known = {commit.hash: commit for commit in COMMITS}
    gru, lstm = read(tmp_path, known, {"retention.track": "1"})
    assert [(point.commit.place, point.value) for point in gru.points] == [(3, 1.0), (7, 1.5), (9, None)]
    assert [(point.commit.place, point.value) for point in lstm.points] == [(7, None), (9, None)]
    assert gru.points[0].run["busy"]
    assert unmeasured(tmp_path, known) == {COMMITS[9]: "ImportError: planted"}
    assert read(tmp_path, known, {"retention.track": "2"}) == []  # of another version of the benchmark
    assert read(tmp_path, {COMMITS[3].hash: COMMITS[3]})[0].points[0].value == 1.0  # of a history without the others


def runs(*values):
    found = compare.Runs()
    found.values["ratio", ("GRU",)] = list(values)
    return found


@pytest.mark.parametrize(
    ("base", "head", "unit", "worse"),
    [
        ([1.0, 1.1], [1.5, 1.6], "x torch.nn", True),
        ([1.0, 1.6], [1.5, 1.7], "x torch.nn", False),  # they overlap: noise
        ([1.0, 1.0], [1.1, 1.1], "x torch.nn", False),
        ([1.0, 1.0], [1.1, 1.1], "MB", True),
        ([1.0, 1.0], [None, None], "MB", False),
        ([1.0, 1.0], [9.0, 9.0], "seconds", False),
    ],
)
def test_two_commits_differ_by_more_than_noise(base, head, unit, worse):
    assert bool(compare.worse(runs(*base), runs(*head), {"ratio": unit})) == worse


@pytest.mark.parametrize(
    ("base", "head", "code", "said"),
    [
        ([1.0], [2.0], 1, "WORSE ratio(GRU) at abcdef01: 2.00 times"),
        ([1.0], [1.0], 0, "1 numbers: 0 worse, 0 lost"),
        ([1.0], [None], 2, "COULD NOT BE MEASURED ratio(GRU) at abcdef01"),
        ([None], [1.0], 3, "Nothing was measured"),
    ],
)
def test_the_exit_code_says_worse_lost_or_nothing(monkeypatch, capsys, base, head, code, said):
    monkeypatch.setattr(compare, "units", lambda: {"ratio": "MB"})
    before, after = runs(*base), runs(*head)
    found = compare.worse(before, after, {"ratio": "MB"})
    assert compare.report(before, after, found, "abcdef0123") == code
    assert said in capsys.readouterr().out


def test_what_looks_worse_is_measured_again_and_nothing_else(monkeypatch):
    asked = []

    def measure(base, head, bench, rounds, both, root):
        asked.append(bench)
        for one, value in zip(both, (1.0, 1.5 if len(asked) == 1 else 1.0), strict=True):
            one.values["speed.Step", ("GRU",)].append(value)
            one.values["memory.Saved", ("GRU",)].append(1.0)

    monkeypatch.setattr(compare, "units", lambda: {"speed.Step": "x torch.nn", "memory.Saved": "MB"})
    monkeypatch.setattr(compare, "measure", measure)
    *_, found = compare.compare("a", "b", ".")
    assert [bool(re.search(asked[1], name)) for name in ("speed.Step", "speed.Step('GRU')", "speed.Steps")] == [1, 1, 0]
    assert not re.search(asked[1], "memory.Saved")
    assert found == {}  # the second look did not confirm it
