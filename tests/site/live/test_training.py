"""A training in the browser against `rnnvanish train`; and work that is cut into slices."""

import csv
import json
import shlex

import pytest

from rnnvanish.__main__ import main

RUNS = {
    "--cell GRU --task recall --task_options.length 5 --hidden_size 8 --lr 0.02 --steps_per_epoch 10 --epochs 9": {
        "cell": "GRU",
        "task": "recall",
        "lag": 4,
        "units": 8,
        "rate": 0.02,
        "epoch": 10,
        "most": 90,
    },
    "--cell LSTM --task adding --task_options.length 4 --hidden_size 8 --lr 0.05 --steps_per_epoch 20 --epochs 2 "
    "--num_layers 2 --skip residual --mitigations 'AttentionOverPast,SkipThroughTime(2),Chrono(4),ClipValue(0.05)'": {
        "cell": "LSTM",
        "task": "adding",
        "lag": 3,
        "units": 8,
        "rate": 0.05,
        "epoch": 20,
        "most": 40,
        "layers": 2,
        "layerSkip": True,
        "attention": True,
        "timeSkip": 2,
        "start": "chrono",
        "option": 4,
        "clipValue": 0.05,
    },
    "--cell Elman --task copying --task_options.delay 2 --hidden_size 8 --lr 0.5 --steps_per_epoch 5 --epochs 2 "
    "--optimizer sgd --cell_options.nonlinearity prelu": {
        "cell": "Elman",
        "task": "copying",
        "lag": 12,
        "units": 8,
        "rate": 0.5,
        "epoch": 5,
        "most": 10,
        "optimizer": "sgd",
        "activation": "prelu",
    },
}


@pytest.mark.parametrize("command", RUNS)
def test_the_same_in_python(engine, command, tmp_path, capsys):
    """Adding and copying have no normal numbers: what `Chrono` draws alone is rounded otherwise."""
    usual = "--batch_size 16 --seed 3 --monitor 0 --until_solved --engine reference --trainer.precision 64-true --json"
    assert main(["train", *shlex.split(command), *usual.split(), "--out", str(tmp_path / "run")]) == 0
    theirs = json.loads(capsys.readouterr().out)
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val_loss"]]
    ours = engine.evaluate(
        """(options) => {
          const run = new rv.Run({ ...options, batch: 16, seed: 3 });
          while (!run.over) run.step();
          return { steps: run.steps, solved: run.solved, tests: run.tests };
        }""",
        RUNS[command],
    )
    assert (ours["steps"], ours["solved"]) == (theirs["steps"], theirs["solved"])
    assert [test["step"] for test in ours["tests"]] == [int(row["step"]) + 1 for row in rows]
    assert [test["right"] for test in ours["tests"]] == pytest.approx(
        [float(row["val_score"]) for row in rows], abs=1e-6
    )
    assert [test["loss"] for test in ours["tests"]] == pytest.approx([float(row["val_loss"]) for row in rows], rel=2e-5)
