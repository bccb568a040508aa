"""`rnnvanish train` with every cell, and with every pair of one of torch's, a task, a mitigation and a structure.

It trains, or refuses before its first step.
"""

import itertools
import json
import sys
import warnings
from functools import cache

import pytest
import torch

from rnnvanish import Recurrent, cells, mitigations, tasks
from rnnvanish.__main__ import main
from rnnvanish.mitigation import Build, Draw, Regime
from rnnvanish.mitigations import SingularValuePenalty, SoftOrthogonality

#: Options that make a task small; one without a size of its own is as large as its data.
SMALL = {
    "adding": "--task_options.length 8",
    "copying": "--task_options.delay 3",
    "delayedxor": "--task_options.delay 2 --task_options.length 6",
    "multiplication": "--task_options.length 6",
    "recall": "--task_options.length 6",
    "temporalorder": "--task_options.length 8",
    "sunspots": "--task_options.window 8",
    "text": "--task_options.length 8",
}
#: Mitigations that need an option, or a smaller one to act on so few steps.
OPTIONS = {
    "Chrono": "(span=9)",
    "GradientFlossing": "(count=2)",
    "SkipThroughTime": "(lag=2)",
    "SparseAttentiveBacktracking": "(window=3, top=1, every=2)",
    "TruncatedBackpropagation": "(window=3)",
    "WarmState": "(windows=2)",
    "Zoneout": "(0.1)",
}
STRUCTURES = {
    "plain": "",
    "both ways": "--bidirectional",
    "two layers": "--num_layers 2 --dropout 0.5 --skip residual",
    "compiled": "--engine cpu",
    "unclipped": "--engine reference --clip 0",
}
#: Of the same form as adding, digits and text; other cells are trained on them.
ALIKE = ("multiplication", "temporalorder", "delayedxor")
TASKS = [task for task in tasks.ALL if task not in ALIKE]
CURES = ["", *mitigations.ALL]
RELU = "Elman --cell_options.nonlinearity relu"  # some mitigations are for it alone
CELLS = [*(name for name, cell in cells.ALL.items() if cell.torch_twin), RELU]
OTHERS = [name for name in cells.ALL if name not in CELLS]


def built(cure):
    return mitigations.ALL[cure](**({"span": 9} if cure == "Chrono" else {}))


#: Penalties that need recurrent matrices to act on.
OF_MATRICES = SoftOrthogonality | SingularValuePenalty


@cache
def suits(cell, cure):
    """Whether a mitigation finds something to act on in a layer of this cell; rules and other penalties act on any."""
    if not cure or not issubclass(mitigations.ALL[cure], Draw | Build | Regime | OF_MATRICES):
        return True
    try:
        kind, options = cells.ALL[cell.split()[0]], {"nonlinearity": "relu"} if cell == RELU else {}
        layer = Recurrent(kind, 2, 3, **kind.small, **options)
        treated = (
            built(cure).penalty(layer, None, torch.sum)
            if issubclass(mitigations.ALL[cure], OF_MATRICES)
            else built(cure)(layer)
        )
        if issubclass(mitigations.ALL[cure], Regime):
            built(cure).rates(treated)
    except ValueError:
        return False
    return True


#: What a mitigation that acts while it trains asks of a task.
ASKED = {"Curriculum": lambda task: task.length_field, "WarmState": lambda task: task.answer == "every"}
#: Mitigations that no compiled loop has.
PLAIN_LOOPS = (
    "NormalisedBackpropagation",
    "RecurrentBatchNormalisation",
    "SparseAttentiveBacktracking",
    "SyntheticGradients",
    "UORO",
)
#: Mitigations that need layers which read forward.
FORWARD = ("UORO", "WarmState")
#: Mitigations that take one layer alone.
SINGLE = ("UORO",)


def fits(row):
    cell, task, cure, structure = row
    if structure == "compiled" and cure in PLAIN_LOOPS:
        return False
    if structure == "two layers" and cure in SINGLE:
        return False
    forward = tasks.ALL[task].forward_only or cure in FORWARD
    asked = ASKED.get(cure, lambda task: True)
    return suits(cell, cure) and bool(asked(tasks.ALL[task])) and not (structure == "both ways" and forward)


def pairs(row):
    return set(itertools.combinations(enumerate(row), 2))


@cache
def table():
    """A row for each cure and each task that it takes, with the cell and structure that add most new pairs; then the rest."""
    rows = [row for row in itertools.product(CELLS, TASKS, CURES, STRUCTURES) if fits(row)]
    left, chosen = set().union(*map(pairs, rows)), []
    alike = {both: list(each) for both, each in itertools.groupby(sorted(rows, key=cure_and_task), cure_and_task)}
    for candidates in itertools.chain(alike.values(), itertools.repeat(rows)):
        if not left:
            return chosen
        row = max(candidates, key=lambda row: len(pairs(row) & left))
        chosen.append(row)
        left -= pairs(row)
    raise AssertionError


def cure_and_task(row):
    return row[2], row[1]


def command(row, folder):
    cell, task, cure, structure = row
    small = cells.ALL[cell.split()[0]].small
    options = [f"--cell_options.{name}={json.dumps(value)}" for name, value in small.items()]
    words = f"train --cell {cell} --task {task} {SMALL.get(task, '')} {STRUCTURES[structure]} --hidden_size 3"
    steps = "--epochs 1 --steps_per_epoch 2 --batch_size 3 --monitor 1 --json --out"
    return [*words.split(), *options, *steps.split(), str(folder), "--mitigations", cure + OPTIONS.get(cure, "")]


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """Trains by what a row says."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # TensorBoard has a test of its own
    for task in tasks.ALL.values():  # a fair test of what was learnt in two steps would take most of the time
        monkeypatch.setattr(task, "test_count", 4)
    torch.set_num_threads(1)

    def run(row):
        with warnings.catch_warnings(action="ignore"):
            assert main(command(row, tmp_path / "-".join(row))) == 0, (row, capsys.readouterr().err)

    return run


@pytest.mark.parametrize("task", TASKS)
def test_every_pair_trains(task, train):
    chosen = [row for row in table() if row[1] == task]
    for row in chosen:
        train(row)
    assert {*CELLS, *STRUCTURES} - {"both ways"} <= {value for row in chosen for value in row}


def test_every_other_cell_trains(train):
    """Each with the next task, mitigation and structure that fit."""
    values = [itertools.cycle(each) for each in (tasks.ALL, CURES, STRUCTURES)]
    for cell in OTHERS:
        train(next(row for row in zip(itertools.repeat(cell), *values) if fits(row)))


WRONG = [(cell, "recall", cure, "plain") for cell in CELLS for cure in CURES if not suits(cell, cure)]
WRONG += [("GRU", "recall", cure, "compiled") for cure in PLAIN_LOOPS]
WRONG += [("GRU", task, "", "both ways") for task in tasks.ALL if tasks.ALL[task].forward_only]
WRONG += [
    ("GRU", task, cure, "plain") for cure, asked in ASKED.items() for task in tasks.ALL if not asked(tasks.ALL[task])
]
WRONG += [("GRU", "copying", cure, "both ways") for cure in FORWARD]
WRONG += [("GRU", "copying", cure, "two layers") for cure in SINGLE]


@pytest.mark.parametrize("row", WRONG, ids="-".join)
def test_what_does_not_fit_is_refused_before_anything_is_kept(row, tmp_path, capsys):
    assert main(command(row, tmp_path / "run")) == 2
    assert (row[2] or row[1]) in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
