"""Several processes that train one network together: the batch, the loss and the weights of one process alone."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from rnnvanish import tasks
from rnnvanish.__main__ import main
from rnnvanish.task import Batch
from rnnvanish.training.data import TaskData

OPTIONS = """train --cell LSTM --task recall --task_options.length 8 --hidden_size 4 --epochs 2 --steps_per_epoch 5
    --batch_size 6 --monitor 3 --lr 0.05 --json --out"""
COMMAND = OPTIONS.split()
TOGETHER = ["--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"]


def shares(data, count):
    """What each of so many processes reads first."""
    for rank in range(count):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=count)
        yield next(iter(data.train_dataloader()))


@pytest.mark.parametrize(
    ("task", "axis"), [(tasks.Adding(6), 0), (tasks.Copying(4), 1), (tasks.Recall(5), 0)], ids=lambda each: str(each)
)
def test_the_shares_of_a_batch_are_the_batch_of_one_process(task, axis):
    data = TaskData(task, batch_size=6)
    whole, parts = data.train_batch(0, 0), list(shares(data, 3))
    assert [each.inputs.shape[1] for each in parts] == [2, 2, 2]
    assert torch.equal(torch.cat([each.inputs for each in parts], dim=1), whole.inputs)
    assert torch.equal(torch.cat([each.targets for each in parts], dim=axis), whole.targets)


def test_a_share_has_the_lengths_of_its_own_sequences():
    data = TaskData(tasks.Recall(5), batch_size=4)
    whole = data.train_batch(0, 0)
    data.train_batch = lambda *_: Batch(whole.inputs, whole.targets, torch.tensor([5, 3, 4, 2]))
    assert [each.lengths.tolist() for each in shares(data, 2)] == [[5, 3], [4, 2]]


def test_a_batch_that_cannot_be_shared_alike_is_refused():
    with pytest.raises(ValueError, match="2 processes need a batch_size that is a multiple of 2, got 5"):
        next(shares(TaskData(tasks.Recall(5), batch_size=5), 2))


def test_only_where_it_is_trained_may_be_said_to_the_trainer(tmp_path, capsys):
    assert main([*COMMAND, str(tmp_path), "--trainer.max_steps", "3"]) == 2
    assert "accelerator, devices, num_nodes, precision, strategy" in capsys.readouterr().err


def kept(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


def losses(folder):
    head, *rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return {
        name: [float(row[place]) for row in rows if row[place]] for place, name in enumerate(head) if "loss" in name
    }


def test_two_processes_learn_what_one_learns(tmp_path, capsys):
    """Over gloo, each with half of every batch."""
    command = [sys.executable, "-m", "rnnvanish", *COMMAND, str(tmp_path / "two"), *TOGETHER]
    two = subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}, stdout=-1, stderr=-1, text=True
    )
    assert main([*COMMAND, str(tmp_path / "one")]) == 0
    one, (said, complained) = json.loads(capsys.readouterr().out), two.communicate(timeout=300)
    assert two.returncode == 0, complained
    assert "MEMBER: 2/2" in complained
    assert json.loads(said)["loss"] == pytest.approx(one["loss"], abs=1e-5)  # and said once, by one of them
    torch.testing.assert_close(kept(tmp_path / "two"), kept(tmp_path / "one"), rtol=0, atol=1e-5)
    for name, values in losses(tmp_path / "one").items():
        assert losses(tmp_path / "two")[name] == pytest.approx(values, abs=1e-5), name
