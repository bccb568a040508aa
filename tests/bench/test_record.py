"""What is kept of a measurement, and where a commit's code comes from."""

import json
import subprocess
import sys

import pytest
from asv.util import UserError

from bench.commands import history, run_asv
from bench.plugins import checkout, record
from bench.stored import suite


def test_a_thin_file_keeps_what_is_drawn():
    columns = ["result", "params", "version", "started_at", "duration"]
    data = {
        "result_columns": columns,
        "results": {"b": [[1.23456789, None], [["'GRU'"]], "1", 17, 2.5], "a": [None, []]},
    }
    thin = record.thin(data | {"durations": {"<build>": 1.0}, "commit_hash": "abc"})
    assert thin["results"] == {"a": [None, [], None], "b": [[1.23457, None], [["'GRU'"]], "1"]}
    assert (thin["durations"], thin["commit_hash"]) == ({}, "abc")


def test_an_earlier_run_answers_for_what_was_not_measured_again():
    runs = [{"date": "1", "benchmarks": ["a", "b"]}, {"date": "2", "benchmarks": ["c"]}]
    assert record.without(runs, {"b", "c"}) == [{"date": "1", "benchmarks": ["a"]}]


@pytest.mark.parametrize(
    ("start", "end", "busy"), [(0.2, 1.1, False), (1.0, 1.1, True), (0.2, 2.0, True), (0.9, 1.9, False)]
)
def test_a_busy_machine_says_so(monkeypatch, start, end, busy):
    monkeypatch.setattr(record.os, "cpu_count", lambda: 2)
    assert record.busy(start, end) == busy


def test_another_torch_than_the_pinned_one_is_not_measured_with():
    with pytest.raises(UserError, match=r"torch 0\.4, \.venv has .*make env"):
        checkout.Checkout(None, "3.11", {"torch": "0.4"}, {})


def test_a_name_that_stands_for_no_commit_is_refused():
    with pytest.raises(SystemExit, match="commit, a branch or a tag, got 'nowhere'"):
        run_asv.resolve("nowhere")


@pytest.mark.parametrize(("code", "ended"), [(0, None), (2, None), (1, 3)])
def test_an_asv_that_fails_is_not_taken_for_a_regression(tmp_path, monkeypatch, code, ended):
    done = subprocess.CompletedProcess([], code, "", "")
    monkeypatch.setattr(run_asv.subprocess, "run", lambda *_, **__: done)
    try:
        run_asv.run(["HEAD"], ".", results=tmp_path / "results")
        said = None
    except SystemExit as error:
        said = error.code
    assert said == ended


def test_a_commit_is_done_when_all_that_is_asked_for_is_there(tmp_path, monkeypatch):
    known = {"a.x": {"version": "1"}, "a.y": {"version": "2"}, "b.z": {"version": "1"}}
    monkeypatch.setattr(history, "benchmarks", lambda: known)
    (tmp_path / "machine").mkdir()
    data = {"commit_hash": "abc", "result_columns": ["result", "params", "version"]}
    results = {"a.x": [[1], [], "1"], "a.y": [[1], [], "2"]}
    (tmp_path / "machine/abcdef01-e.json").write_text(json.dumps(data | {"results": results}))
    assert history.done(tmp_path, "machine", "^a") == {"abc"}
    assert history.done(tmp_path, "machine", ".") == set()
    assert history.done(tmp_path, "another", "^a") == set()


def test_a_repository_without_a_tag_asks_for_a_beginning(tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with pytest.raises(SystemExit, match="SINCE=HEAD~20"):
        history.since(None, tmp_path)


def test_to_know_the_suite_leaves_the_importers_as_they_were():
    before = list(sys.meta_path)
    suite.benchmarks.cache_clear()
    assert "speed.TrainingStep.track_vs_torch" in suite.units()
    assert sys.meta_path == before
