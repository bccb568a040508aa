"""A study is the grid that it says, and a name that there is not lists those there are."""

import itertools

import pytest

from rnnvanish.studies import study as module
from rnnvanish.studies.reader import results, write_results
from rnnvanish.studies.run import sweep
from rnnvanish.studies.store import Store, code_of
from rnnvanish.studies.study import Study, parsed, read
from rnnvanish.tasks import find
from rnnvanish.training.learner import OPTIMIZERS, SCHEDULES


def test_the_optimisers_and_schedules_are_the_learners():
    assert sorted(module.OPTIMIZERS) == sorted(OPTIMIZERS)
    assert sorted(module.SCHEDULES) == sorted(SCHEDULES)


def test_a_schedule_and_a_decay_are_the_trials_own_and_leave_no_trace_where_there_are_none():
    grid = {"name": "s", "cells": ["GRU"], "tasks": ["recall"], "lags": [3]}
    (plain,), (constant,), (both,) = (
        parsed(grid | more).trials()
        for more in ({}, {"schedule": "constant"}, {"schedule": "cosine", "weight_decay": 1})
    )
    assert plain == constant
    assert both.configuration == plain.configuration | {"schedule": "cosine", "weight_decay": 1.0}


OWN = """
import pathlib
from dataclasses import dataclass
from rnnvanish.tasks import Recall
pathlib.Path("ran").touch()
@dataclass(frozen=True)
class Mine(Recall.__mro__[1]):
    length: int = 3
    paper, input_size, output_size, floor, length_field = Recall.paper, 1, 2, 0.7, "length"
    options_at = Recall.options_at
    def draw(self, count, generator, part):
        return Recall(self.length).draw(count, generator, part)
"""


def test_a_task_of_ones_own_is_swept_and_reading_its_results_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)
    tiny = {"hidden_sizes": [2], "steps": 1, "check_every": 1, "batch_size": 2}
    study = parsed({"name": "own", "cells": ["GRU"], "tasks": ["mine.py:Mine"], "lags": [3], **tiny})
    (trial,) = study.trials()
    assert sweep(study, Store("own")).failed == 0
    assert results(tmp_path / "own").rows[0]["task"] == "mine.py:Mine"
    before = code_of(trial)
    write_results(results(tmp_path / "own"), tmp_path / "own.json")
    monkeypatch.setattr("rnnvanish.tasks._OWN", {})  # as in another process
    (tmp_path / "ran").unlink()
    for place in (tmp_path / "own", tmp_path / "own.json"):
        with pytest.raises(ValueError, match=r"mine.py:Mine.* runs no code.*tasks.find\('mine.py:Mine'\)"):
            results(place)
    assert not (tmp_path / "ran").exists()
    find("mine.py:Mine")
    assert len(results(tmp_path / "own.json").rows) == 1
    assert code_of(trial) == before


def test_another_name_of_a_cell_is_the_same_trial():
    names = ["RNN", "Elman", "RNN(nonlinearity='relu')"]
    trials = parsed({"name": "s", "cells": names, "tasks": ["recall"], "lags": [3]}).trials()
    assert [trial.cell for trial in trials] == ["Elman", "Elman(nonlinearity='relu')"]


def test_its_trials_are_every_combination_once_one_seed_first():
    study = Study(
        "grid", ["GRU", "LSTM"], ["recall", "adding"], [3, 9], ["", "OpenGate"], [4, 8], lrs=[0.1, 1], seeds=[5, 2, 5]
    )
    trials = study.trials()
    found = [(t.seed, t.cell, t.task, t.lag, t.mitigations, t.hidden_size, t.lr) for t in trials]
    every = itertools.product(
        [5, 2], ["GRU", "LSTM"], ["recall", "adding"], [3, 9], ["", "OpenGate"], [4, 8], [0.1, 1.0]
    )
    assert sorted(found) == sorted(every)
    assert [trial.seed for trial in trials] == [5] * 64 + [2] * 64
    assert study.trials() == trials
    assert len({trial.key for trial in trials}) == 128
    assert {type(trial.lr) for trial in trials} == {float}  # 1 and 1.0 are one key


def test_several_grids_are_one_study():
    study = parsed(
        {
            "name": "grids", "tasks": ["recall"], "lags": [3], "seeds": [0, 1], "lrs": [1e-3],
            "grids": [{"cells": ["Elman"], "mitigations": ["", "OrthogonalStart"]}, {"cells": ["GRU", "Elman"]}],
        }
    )  # fmt: skip
    assert [(t.seed, t.cell, t.mitigations) for t in study.trials()] == [
        (seed, *rest) for seed in (0, 1) for rest in (("Elman", ""), ("Elman", "OrthogonalStart"), ("GRU", ""))
    ]
    assert study.every("cells") == ["Elman", "GRU"]


def test_a_task_without_a_distance_is_one_trial_whatever_the_lags():
    trials = Study("lags", ["GRU"], ["text", "recall", "recall(length=30)"], [3, 9]).trials()
    assert [(t.task, t.lag) for t in trials] == [
        ("text", None),
        ("recall", 3),
        ("recall", 9),
        ("recall(length=30)", None),
    ]


def test_each_optimiser_has_its_rates_and_sgd_its_momentum():
    study = Study(
        "rates",
        ["GRU"],
        ["recall"],
        [3],
        optimizers=["adam", "sgd"],
        momentum=0.9,
        lrs={"adam": [0.01], "sgd": [0.1, 1.0]},
    )
    assert [(t.optimizer, t.lr, t.momentum) for t in study.trials()] == [
        ("adam", 0.01, 0.0), ("sgd", 0.1, 0.9), ("sgd", 1.0, 0.9),
    ]  # fmt: skip


GOOD = "name: good\ncells: [GRU]\ntasks: [recall]\nlags: [3]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "mitigation: []", "no 'mitigation'. Did you mean mitigations? There are: accelerator, batch_size"),
        (GOOD.replace("GRU", "GRV"), "There is no cell 'GRV'. Did you mean GRU?"),
        (GOOD.replace("GRU", '"GRU(bias=True, wide=2)"'), "cell GRU has no option 'wide'"),
        (GOOD + "schedule: cosinus", "There is no schedule 'cosinus'. Did you mean cosine?"),
        (GOOD.replace("recall", "nothing.py:Task"), "There is no file"),
        (GOOD.replace("GRU", "GRU(1"), "is not written as in Python"),
        (GOOD.replace("GRU", '"GRU, LSTM"'), "Needs one cell"),
        (GOOD.replace("recall", "recal"), "There is no task 'recal'. Did you mean recall?"),
        (GOOD + "mitigations: [OpenGat]", "There is no mitigation 'OpenGat'. Did you mean OpenGate?"),
        (GOOD + "mitigations: ['Chrono(sapn={lag})']", "no option 'sapn'. Did you mean span?"),
        (GOOD + "optimizers: [adma]", "There is no optimizer 'adma'. Did you mean adam?"),
        (GOOD + "lrs: {sgd: [0.1]}", "good needs lrs of adam, got those of sgd"),
        (GOOD + "lrs: [fast]", "fast"),
        (GOOD + "seeds: []", "good needs seeds"),
        (GOOD.replace("[3]", "[]"), "good needs lags"),
        (GOOD.replace("[3]", "[0]"), "good needs lags >= 1, got 0"),
        (GOOD.replace("[3]", "[3.5]"), "Expected a <class 'int'>. Got value: 3.5"),
        (GOOD + "steps: 30", "steps that are a multiple of check_every, got 30 and 25"),
        (GOOD.replace("good", "../up"), "a name of letters"),
        (GOOD + "grids: [{cels: [GRU]}]", "no 'cels'. Did you mean cells?"),
        (GOOD + "grids: [{cells: [GRV]}]", "There is no cell 'GRV'"),
        (GOOD + "grids: [{name: other}]", "has no name"),
        ("cells: [GRU", "is no YAML"),
        ("- GRU", "is no study"),
        ("cells: [GRU]", "required: name"),
    ],
)
def test_what_is_no_study_is_refused_in_words(text, said, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read(file).trials()
    assert said in str(caught.value)


def test_rates_may_be_written_as_people_write_them(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(GOOD + "lrs: [1e-3, .01, 1]\ngrids: [{lrs: [2e-3]}, {}]")
    assert [trial.lr for trial in read(file).trials()] == [0.002, 0.001, 0.01, 1.0]
