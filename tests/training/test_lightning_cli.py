"""The example of LightningCLI on the reference's page: its commands train, test and go on, as they stand there."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch
import yaml

from rnnvanish.training.data import TaskData
from rnnvanish.training.learner import Learner

PAGE = (Path(__file__).parents[2] / "docs/reference/training.md").read_text(encoding="utf-8")
SCRIPT = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
FIT, TEST, GO_ON = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
SMALL = "--data.steps_per_epoch 6 --model.task_options.length 4 --model.hidden_size 4 --data.batch_size 2 --model.mitigations Curriculum"
QUIET = "--trainer.enable_progress_bar false --trainer.enable_model_summary false --trainer.accelerator cpu"


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Run commands of the page in one folder."""
    monkeypatch.chdir(tmp_path)
    Path("main.py").write_text(SCRIPT)

    def run(command):
        python, *words = shlex.split(command.replace("step=200", "step=12"))
        assert python == "python"
        monkeypatch.setattr(sys, "argv", words)
        runpy.run_path("main.py", run_name="__main__")

    return run


def last(folder, name):
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return [float(row[rows[0].index(name)]) for row in rows[1:] if row[rows[0].index(name)]][-1]


def test_it_is_fitted_tested_and_goes_on_as_it_would_have(call):
    csv = "--trainer.logger CSVLogger --trainer.logger.save_dir ."
    call(f"{FIT} {SMALL} {QUIET} {csv} --seed_everything 3")
    first, *others = (Path("lightning_logs") / f"version_{number}" for number in range(4))
    config = yaml.safe_load((first / "config.yaml").read_text())
    assert config["trainer"]["callbacks"][0]["class_path"] == "rnnvanish.RetentionMonitor"
    (checkpoint,) = (first / "checkpoints").iterdir()
    learner = Learner.load_from_checkpoint(checkpoint)
    data = TaskData(learner.task, 2)
    assert [type(regime).__name__ for regime in learner.regimes] == ["Curriculum"]

    call(f"{TEST} {QUIET}")
    batch = data.test_batch()
    with torch.no_grad():
        loss = learner.task.loss(learner.eval()(batch.inputs, batch.lengths), batch).item()
    assert last(others[0], "test_loss") == pytest.approx(loss, rel=1e-5)
    assert last(first, "val_loss") == pytest.approx(loss, rel=1e-5)

    call(f"{GO_ON} {QUIET}")
    (went_on,) = (others[1] / "checkpoints").iterdir()
    call(f"{FIT} {SMALL} {QUIET} {csv} --seed_everything 3 --trainer.max_epochs 4")
    (whole,) = (others[2] / "checkpoints").iterdir()
    theirs, ours = (torch.load(path, weights_only=True)["state_dict"] for path in (went_on, whole))
    torch.testing.assert_close(theirs, ours, rtol=0, atol=0)
    assert not torch.equal(learner.state_dict()["readout.weight"], ours["readout.weight"])
