"""Each network is trained once more at its own best rate, with fresh seeds: which rate that is, and that nothing is done twice."""

import shutil
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from pretended import pretend

from rnnvanish.__main__ import main
from rnnvanish.studies import run as module
from rnnvanish.studies.export import export
from rnnvanish.studies.reader import collect, results
from rnnvanish.studies.run import sweep
from rnnvanish.studies.second_pass import SecondPass, best_rate
from rnnvanish.studies.store import Store
from rnnvanish.studies.study import Study, parsed

NEVER, RATES = {"solved": None, "diverged": None, "loss": 0.5}, [0.001, 0.01, 0.1]
#: Two networks: one learns soonest at the middle rate, the other at the highest alone.
STUDY = Study(
    "twice", ["GRU", "LSTM"], ["recall"], [3], lrs=RATES, seeds=[0, 1], final_seeds=[7, 8, 9], hidden_sizes=[3],
    steps=100, check_every=10, batch_size=4,
)  # fmt: skip
BEST = {"GRU": 0.01, "LSTM": 0.1}


def solved(steps):
    return NEVER | {"solved": steps}


def learns(trial, calls=None):
    if calls is not None:
        calls.append(trial)
    content = pretend(trial)
    steps = {"GRU": {0.001: 90, 0.01: 20, 0.1: 40}, "LSTM": {0.1: 80}}[trial.cell].get(trial.lr)
    content["result"] |= {"solved": steps, "diverged": None, "loss": 0.2}
    return content


def named(trial):
    return trial.cell, trial.lr, trial.seed


FINAL = [(cell, lr, seed) for cell, lr in BEST.items() for seed in (7, 8, 9)]


@pytest.mark.parametrize(
    ("found", "best"),
    [
        ({1: [solved(90), solved(90)], 2: [solved(5), NEVER]}, 1),  # most seeds
        ({1: [solved(90), solved(80)], 2: [solved(20), solved(95)]}, 2),  # fewest steps
        (
            {1: [solved(60), solved(60), NEVER], 2: [solved(50), solved(99), NEVER]},
            1,
        ),  # one that was not counts in full
        ({1: [NEVER, NEVER], 2: [NEVER, NEVER | {"loss": 0.4}]}, 2),  # lowest loss
        ({1: [NEVER | {"diverged": 3, "loss": 0.0}] * 2, 2: [NEVER, NEVER]}, 2),  # whatever it was before it diverged
        ({1: [NEVER | {"diverged": 3, "loss": None}] * 2, 2: [NEVER | {"diverged": 3, "loss": 1.0}] * 2}, 1),
        ({2: [solved(9)], 1: [solved(9)]}, 2),  # of equal ones the first
    ],
)
def test_the_best_rate(found, best):
    assert best_rate(found, 100) == best


def test_a_network_is_trained_once_more_at_its_own_best_rate(tmp_path):
    calls = []
    progress = sweep(STUDY, Store(tmp_path), function=lambda trial: learns(trial, calls))
    assert calls[:12] != STUDY.trials()  # a network goes on when its own first pass is done
    assert sorted(map(named, calls)) == sorted([*map(named, STUDY.trials()), *FINAL])
    assert (progress.total, progress.done, progress.left) == (18, 18, 0)
    found = collect(STUDY, Store(tmp_path), "again")
    assert [(row["cell"], row["lr"], row["seed"]) for row in found.rows if row["final"]] == FINAL
    assert (found.missing, found.to_come, found.others) == ([], 0, [])
    assert found.success("recall") == {"GRU": {3: 1.0}, "LSTM": {3: 1.0}}


def test_it_goes_on_where_it_was(tmp_path):
    calls = []

    def killed(trial):
        if len(calls) == 14:
            raise KeyboardInterrupt
        return learns(trial, calls)

    with pytest.raises(KeyboardInterrupt):
        sweep(STUDY, Store(tmp_path), function=killed)
    found = collect(STUDY, Store(tmp_path), "again")
    assert len(found.rows) == 14
    assert len(found.missing) + found.to_come == 4
    sweep(STUDY, Store(tmp_path), function=lambda trial: learns(trial, calls))
    assert sorted(map(named, calls)) == sorted([*map(named, STUDY.trials()), *FINAL])


def test_what_follows_is_counted_before_it_is_known(tmp_path):
    store, trials = Store(tmp_path), STUDY.trials()
    found = collect(STUDY, store, "again")
    assert (len(found.missing), found.to_come) == (12, 6)
    for trial in trials:
        if trial != trials[-1]:
            store.write(trial, learns(trial))
    found = collect(STUDY, store, "again")
    assert trials[-1].cell == "LSTM"
    assert [named(trial) for trial in found.missing] == [named(trials[-1]), *FINAL[:3]]
    assert found.to_come == 3
    assert "11 of 15 trials have a result, and 3 more follow from these." in str(found)


def test_a_first_pass_that_failed_chooses_nothing(tmp_path):
    store, first = Store(tmp_path), STUDY.trials()[0]

    def attempt(trial):
        return module.failure(trial, ZeroDivisionError()) if trial == first else learns(trial)

    progress = sweep(STUDY, store, function=attempt)
    assert (progress.done, progress.failed) == (14, 1)
    found = collect(STUDY, store, "again")
    assert (found.missing, found.to_come) == ([first], 3)
    assert sweep(STUDY, store, function=learns, retry=True).done == 18


def test_sweeps_in_one_folder_share_both_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.01)
    study, calls, ended = replace(STUDY, cells=["GRU"], hidden_sizes=list(range(3, 9))), [], []

    def attempt(trial):
        time.sleep(0.002 * (trial.seed + 1))
        return learns(trial, calls)

    sweeps = [
        threading.Thread(target=lambda: ended.append(sweep(study, Store(tmp_path), function=attempt))) for _ in range(3)
    ]
    for each in sweeps:
        each.start()
    for each in sweeps:
        each.join()
    assert Counter(calls).most_common(1)[0][1] == 1
    assert [progress.done for progress in ended] == [6 * (6 + 3)] * 3


def test_what_another_sweep_has_done_is_gone_on_with_before_the_next_network(tmp_path):
    """Another sweep has the first trial, and ends it while this one runs its third: the second pass comes next all the same."""
    store, trials, calls = Store(tmp_path), STUDY.trials(), []
    hold = store.hold(trials[0])

    def attempt(trial):
        calls.append(trial)
        if len(calls) == 3:
            store.write(trials[0], learns(trials[0]))
            hold.release()
        return learns(trial)

    study = parsed(vars(STUDY) | {"grids": [{"cells": ["GRU"]}, {"cells": ["LSTM"]}]})
    assert sweep(study, store, function=attempt).done == 18
    assert [trial.cell for trial in calls] == ["GRU"] * 8 + ["LSTM"] * 9


def test_folders_that_were_merged_are_one_study(tmp_path):
    whole, merged = tmp_path / "whole", tmp_path / "merged"
    sweep(STUDY, Store(whole), function=learns)
    for cell in STUDY.cells:
        sweep(replace(STUDY, cells=[cell]), Store(tmp_path / cell), function=learns)
        shutil.copytree(tmp_path / cell, merged, dirs_exist_ok=True)
    calls = []
    sweep(STUDY, Store(merged), function=lambda trial: learns(trial, calls))
    assert calls == []
    kept = [collect(STUDY, Store(folder), "again") for folder in (whole, merged)]
    assert kept[0].rows == kept[1].rows


def test_what_is_exported_is_read_as_the_folder_is(tmp_path):
    store, file = Store(tmp_path / "twice"), tmp_path / "twice.json"
    sweep(STUDY, store, function=learns)
    store.path(
        STUDY.trials()[0]
    ).unlink()  # so that the rate of one network is not known, and its second pass is nobody's
    found = collect(STUDY, store, "again")
    export(found, file)
    back = results(file)
    assert back.rows == [row if row["final"] else row | {"curve": {}} for row in found.rows]
    assert (back.missing, back.to_come) == (found.missing, found.to_come) == ([STUDY.trials()[0]], 3)
    assert len(found.others) == 3
    assert back.others == []
    export(collect(replace(STUDY, final_seeds=[]), store, "again"), file)
    assert {row["final"] for row in results(file).rows} == {False}


def test_another_rate_than_the_best_is_none_of_the_study(tmp_path):
    store = Store(tmp_path)
    sweep(STUDY, store, function=learns)
    stray = replace(STUDY.trials()[0], seed=7, lr=0.1)
    store.write(stray, learns(stray))
    assert collect(STUDY, store, "again").others == [f"{stray.key}.json"]


def test_networks_that_cannot_be_have_no_second_pass(tmp_path):
    study = replace(STUDY, cells=["Elman", "GRU"], mitigations=["OpenGate"])
    progress = sweep(study, Store(tmp_path), function=learns)
    assert (progress.total, progress.done, len(progress.refused)) == (9, 9, 6)
    found = collect(study, Store(tmp_path), "again")
    assert (found.missing, found.to_come, len(found.refused)) == ([], 0, 6)


def test_grids_that_share_a_network_choose_one_rate_for_it():
    shared = {"name": "shared", "cells": ["GRU"], "tasks": ["recall"], "lags": [3], "seeds": [0], "steps": 100}
    study = parsed(
        shared | {"grids": [{"lrs": [0.001, 0.01], "final_seeds": [7]}, {"lrs": [0.01, 0.1], "final_seeds": [7, 8]}]}
    )
    assert [trial.lr for trial in study.trials()] == [0.001, 0.01, 0.1]
    second = SecondPass(study)
    assert [trial.seed for trial in second.to_come] == [7, 8]
    follow = [second.add(trial, learns(trial)["result"]) for trial in study.trials()]
    assert [list(map(named, each)) for each in follow] == [[], [], [("GRU", 0.01, 7), ("GRU", 0.01, 8)]]


def test_a_grid_is_decided_before_the_next_begins(tmp_path):
    study = parsed(vars(STUDY) | {"grids": [{"cells": ["LSTM"]}, {"cells": ["GRU"]}]})
    calls = []
    sweep(study, Store(tmp_path), function=lambda trial: learns(trial, calls))
    assert [trial.cell for trial in calls] == ["LSTM"] * 9 + ["GRU"] * 9


def test_seeds_that_chose_the_rate_are_not_fresh():
    with pytest.raises(ValueError, match="twice needs final_seeds that are none of its seeds, got 1 in both"):
        SecondPass(replace(STUDY, final_seeds=[1, 2]))


def test_the_command_says_what_follows(tmp_path, capsys):
    file = tmp_path / "study.yaml"
    file.write_text(
        "name: said\ncells: [Elman]\ntasks: [recall]\nlags: [2]\nhidden_sizes: [3]\nbatch_size: 4\nsteps: 2\n"
        "check_every: 1\nlrs: [0.01, 0.1]\nfinal_seeds: [5, 6, 7]\n"
    )
    assert main(["sweep", str(file), "--dry-run"]) == 0
    assert "said: 2 trials, and 3 more that follow from these. One after" in capsys.readouterr().out
    assert main(["sweep", str(file), "--out", str(tmp_path / "out")]) == 0
    assert "said: 5 of 5 trials have a result." in capsys.readouterr().out
