"""A sweep does each trial once, whoever else is at it, and loses nothing that was finished."""

import errno
import json
import os
import random
import shutil
import signal
import threading
import time
from dataclasses import replace
from functools import partial

import pytest
from killed import killed
from pretended import pretend

from rnnvanish.__main__ import main
from rnnvanish.studies import command as sweep_command
from rnnvanish.studies import run as module
from rnnvanish.studies.progress import Progress
from rnnvanish.studies.run import DiskFull, attempt, sweep
from rnnvanish.studies.store import SCHEMA, Store
from rnnvanish.studies.study import Study, read

STUDY = Study(
    "small", ["GRU"], ["recall"], [3, 4], seeds=[0, 1, 2], hidden_sizes=[3], steps=20, check_every=10, batch_size=4
)


def counted(calls, also=lambda trial: None):
    def function(trial):
        calls.append(trial)
        also(trial)
        return pretend(trial)

    return function


def numbers(folder):
    """What does not depend on when and where it was run."""
    found = {path.name: json.loads(path.read_text()) for path in folder.glob("?" * 16 + ".json")}
    return {name: {part: each[part] for part in ("schema", "trial", "result")} for name, each in found.items()}


def test_each_trial_is_run_once_and_never_again(tmp_path):
    calls = []
    progress = sweep(STUDY, Store(tmp_path), function=counted(calls))
    assert calls == STUDY.trials()
    assert (progress.done, progress.failed, progress.solved, progress.left) == (6, 0, 6, 0)
    assert {path.name for path in tmp_path.iterdir()} == {f"{t.key}.json" for t in calls} | {"study.json"}
    sweep(STUDY, Store(tmp_path), function=counted(calls))
    assert len(calls) == 6
    wider = replace(STUDY, seeds=[0, 1, 2, 3])
    sweep(wider, Store(tmp_path), function=counted(calls))
    assert calls[6:] == [trial for trial in wider.trials() if trial.seed == 3]


def test_results_of_another_study_in_the_folder_are_none_of_ours(tmp_path):
    other, calls = replace(STUDY, steps=40), []
    sweep(other, Store(tmp_path), function=counted(calls))
    sweep(STUDY, Store(tmp_path), function=counted(calls))
    assert calls == other.trials() + STUDY.trials()
    assert len(Store(tmp_path).others(STUDY.trials())) == 6


def test_folders_are_merged_by_copying(tmp_path):
    halves = [replace(STUDY, seeds=[0]), replace(STUDY, seeds=[1, 2])]
    for place, half in enumerate(halves):
        sweep(half, Store(tmp_path / str(place)), function=pretend)
    for file in (tmp_path / "1").iterdir():
        shutil.copy(file, tmp_path / "0")
    calls = []
    assert sweep(STUDY, Store(tmp_path / "0"), function=counted(calls)).done == 6
    assert calls == []


SPOILT = {
    "empty": lambda path, record: path.write_text(""),
    "half of it": lambda path, record: os.truncate(path, path.stat().st_size // 2),
    "a list": lambda path, record: path.write_text("[]"),
    "of another trial": lambda path, record: path.write_text(
        json.dumps(record | {"trial": record["trial"] | {"seed": 9}})
    ),
    "of a later version": lambda path, record: path.write_text(json.dumps(record | {"schema": SCHEMA + 1})),
    "without a result": lambda path, record: path.write_text(
        json.dumps({k: v for k, v in record.items() if k != "result"})
    ),
    "deep": lambda path, record: path.write_text("[" * 100_000),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_damaged_file_is_said_and_its_trial_is_run_again(how, tmp_path):
    store, calls = Store(tmp_path), []
    sweep(STUDY, store, function=pretend)
    trial = STUDY.trials()[2]
    SPOILT[how](store.path(trial), json.loads(store.path(trial).read_text()))
    assert store.read(trial).state == "damaged"
    sweep(STUDY, store, function=counted(calls))
    assert calls == [trial]
    assert store.read(trial).state == "done"


def test_a_trial_that_raises_keeps_its_traceback_and_is_tried_again_when_asked(tmp_path, monkeypatch):
    def run(trial):
        if trial.lag == 4:
            raise ZeroDivisionError("no such thing")
        return {name: pretend(trial)[name] for name in ("result", "cost")}

    monkeypatch.setattr(module, "run", run)
    store, calls = Store(tmp_path), []
    progress = sweep(STUDY, store)
    assert (progress.done, progress.failed) == (3, 3)
    failed = store.read(STUDY.trials()[1])
    assert failed.state == "failed"
    assert failed.content["failed"]["error"] == "ZeroDivisionError: no such thing"
    assert "in run\n" in failed.content["failed"]["traceback"]
    sweep(STUDY, store, function=counted(calls))
    assert calls == []
    assert sweep(STUDY, store, function=counted(calls), retry=True).failed == 0
    assert [trial.lag for trial in calls] == [4, 4, 4]


class Losing:
    """A runner whose second trial is lost with its process."""

    def map(self, function, trials):
        for place, trial in enumerate(trials):
            yield trial, (RuntimeError("worker lost") if place == 1 else function(trial))


def test_a_lost_worker_is_a_failure_of_its_trial_alone(tmp_path):
    store = Store(tmp_path)
    progress = sweep(STUDY, store, Losing(), function=pretend)
    assert (progress.done, progress.failed) == (5, 1)
    assert store.read(STUDY.trials()[1]).content["failed"]["error"] == "RuntimeError: worker lost"


def test_sweeps_in_one_folder_share_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.01)
    study, calls = replace(STUDY, seeds=list(range(20))), []
    function = counted(calls, lambda trial: time.sleep(random.Random(trial.seed).random() / 100))
    ended = []
    sweeps = [
        threading.Thread(target=lambda: ended.append(sweep(study, Store(tmp_path), function=function)))
        for _ in range(3)
    ]
    for each in sweeps:
        each.start()
    for each in sweeps:
        each.join()
    assert sorted(map(str, calls)) == sorted(map(str, study.trials()))
    assert [progress.done for progress in ended] == [40, 40, 40]
    assert not list(tmp_path.glob(".*"))  # no lock is left


def test_what_a_killed_sweep_held_is_taken_over(tmp_path):
    trial, store = STUDY.trials()[0], Store(tmp_path)
    child = os.fork()
    if not child:
        store.hold(trial)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / f".{trial.key}.lock").exists()
    assert not store.is_held(trial)
    hold = store.hold(trial)
    assert hold is not None
    assert store.hold(trial) is None
    assert store.is_held(trial)
    hold.release()
    assert not store.is_held(trial)


def full(monkeypatch, times):
    """A disk that is full for so many writes of a result."""
    left, real = [times], Store.write

    def write(self, trial, content):
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, trial, content)

    def hold(self, trial):
        if left[0] and trial.seed == 1:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return held(self, trial)

    held = Store.hold
    monkeypatch.setattr(Store, "write", write)
    monkeypatch.setattr(Store, "hold", hold)
    monkeypatch.setattr(module, "PAUSE", 0.001)


def test_a_full_disk_is_waited_for(tmp_path, monkeypatch):
    full(monkeypatch, 3)
    calls = []
    assert sweep(STUDY, Store(tmp_path), function=counted(calls)).done == 6
    assert len(calls) == 6


def test_a_disk_that_stays_full_ends_it_and_what_was_written_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    sweep(replace(STUDY, seeds=[0]), Store(tmp_path), function=pretend)
    with monkeypatch.context() as patch:
        full(patch, 10**6)
        with pytest.raises(DiskFull, match="no room"):
            sweep(STUDY, Store(tmp_path), function=pretend)
    assert not list(tmp_path.glob(".*"))
    calls = []
    sweep(STUDY, Store(tmp_path), function=counted(calls))
    assert len(calls) == 4


def test_it_stops_when_asked_and_an_old_wish_is_no_new_one(tmp_path):
    store, calls = Store(tmp_path), []
    progress = sweep(
        STUDY, store, function=counted(calls, lambda trial: trial.seed == 1 and trial.lag == 3 and store.ask_to_stop())
    )
    assert progress.stopped
    assert (progress.done, progress.left, len(calls)) == (3, 3, 3)
    progress = sweep(STUDY, store, function=counted(calls))
    assert not progress.stopped
    assert len(calls) == 6


def test_a_signal_leaves_nothing_held(tmp_path):
    def interrupted(trial):
        if trial.seed == 1:
            raise KeyboardInterrupt
        return pretend(trial)

    with pytest.raises(KeyboardInterrupt):
        sweep(STUDY, Store(tmp_path), function=interrupted)
    assert not list(tmp_path.glob(".*"))
    assert len(numbers(tmp_path)) == 2


def test_the_best_remembers_longest_and_learns_it_soonest():
    progress = Progress(3)
    short, long = STUDY.trials()[:2]
    for trial, solved in ((long, 90), (short, 10), (replace(long, seed=7), 40)):
        content = pretend(trial)
        content["result"]["solved"] = solved
        progress.count(trial, content)
    assert progress.best == {"recall": (4, -40, replace(long, seed=7))}


KILLED = """name: killed
cells: [GRU]
mitigations: ["", OpenGate]
tasks: [recall]
lags: [3]
seeds: [0, 1, 2]
hidden_sizes: [3]
steps: 4
check_every: 2
batch_size: 4
"""
#: Where it is killed: before or after a call of one of these.
MOMENTS = [(Store, "write"), (Store, "hold"), (sweep_command, "attempt"), (os, "replace")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this platform")
def test_a_sweep_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path, capsys):
    """SIGKILL at one moment after another: the numbers are those of a sweep that nobody has touched, in another order."""
    file, whole, broken = tmp_path / "study.yaml", tmp_path / "whole", tmp_path / "broken"
    file.write_text(KILLED)
    for trial in reversed(read(file).trials()):  # each alone, in the opposite order, in this process
        Store(whole).write(trial, attempt(trial))
    command = ["sweep", str(file), "--out", str(broken), "--json"]
    draw = random.Random(0)
    kills = [
        killed(partial(main, command), *moment, 1 if moment[1] == "write" else draw.choice([1, 2]), draw.random() < 0.5)
        for moment in [*MOMENTS, MOMENTS[0], MOMENTS[2]]
    ]
    assert all(kills)
    assert len(numbers(broken)) < 6
    capsys.readouterr()
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["done"], document["missing"], document["failed"], document["running"]) == (6, 0, [], 0)
    assert numbers(broken) == numbers(whole)
    assert len(numbers(whole)) == 6
