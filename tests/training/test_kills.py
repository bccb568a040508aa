"""`rnnvanish train`, killed ten times, at whatever moment: it ends as a run that nobody has touched."""

import json
import os
import random
from functools import partial

import pytest
import torch
from killed import killed

from rnnvanish.__main__ import main
from rnnvanish.training import checkpoints
from rnnvanish.training.checkpoints import WholeCheckpoints
from rnnvanish.training.learner import Learner
from rnnvanish.training.runs import MetricsLogger, RunFolder

OPTIONS = """train --cell LSTM --task recall --task_options.length 8 --hidden_size 4 --num_layers 2 --dropout 0.4
    --epochs 6 --steps_per_epoch 4 --batch_size 4 --monitor 3 --mitigations Zoneout(0.1) --json --out"""
COMMAND = OPTIONS.split()
#: Where it is killed: before or after a call of one of these, and within the calls that follow.
MOMENTS = [
    (Learner, "training_step"), (Learner, "validation_step"), (Learner, "configure_gradient_clipping"),
    (WholeCheckpoints, "save_checkpoint"), (checkpoints, "put_in_place"), (MetricsLogger, "log_metrics"), (RunFolder, "finish"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums in as many threads add up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this platform")
def test_a_run_that_is_killed_ten_times_ends_as_one_that_is_not(tmp_path, capsys):
    assert main([*COMMAND, str(tmp_path / "whole")]) == 0
    draw = random.Random(0)
    kills = [
        killed(
            partial(main, [*COMMAND, str(tmp_path / "broken")]), *moment, draw.choice([1, 1, 2, 3]), draw.random() < 0.5
        )
        for moment in draw.choices(MOMENTS[:-1], k=9) + MOMENTS[-1:]
    ]
    assert all(kills)
    assert main([*COMMAND, str(tmp_path / "broken")]) == 0
    for part in ("metrics.csv", "options.json"):
        assert (tmp_path / "broken" / part).read_text() == (tmp_path / "whole" / part).read_text()
    ours, theirs = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("broken", "whole"))
    assert (ours["loss"], ours["score"]) == (theirs["loss"], theirs["score"])
    for part in ("last.ckpt", "best.ckpt"):
        ours, theirs = (torch.load(tmp_path / name / part, weights_only=True) for name in ("broken", "whole"))
        for kind in ("state_dict", "optimizer_states", "global_step"):
            torch.testing.assert_close(ours[kind], theirs[kind], rtol=0, atol=0)
