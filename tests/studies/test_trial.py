"""A trial is a function of its configuration alone: of nothing that was drawn before it, and of no other trial."""

import math
import random
from dataclasses import replace

import pytest
import torch

from rnnvanish.probes import retention
from rnnvanish.studies.command import attempt_with_tensorboard
from rnnvanish.studies.trial import Trial, build, refusals, run
from rnnvanish.training.learner import Learner

TINY = Trial("GRU", "recall", 4, hidden_size=4, steps=20, check_every=5, batch_size=8, lr=0.02)


def test_nothing_that_happened_before_changes_a_result_and_nothing_is_left_changed():
    first = run(TINY)["result"]
    torch.manual_seed(7)
    random.seed(7)
    run(replace(TINY, seed=3, mitigations="Zoneout"))
    torch.set_num_threads(2)
    before = torch.get_rng_state(), random.getstate()
    try:
        assert run(TINY)["result"] == first
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert run(replace(TINY, seed=1))["result"] != first


def test_it_trains_as_the_same_loop_in_torch_does():
    """Adam and clipping by hand, on the batches that the data draw: the validation's loss of each check is the same."""
    torch.manual_seed(TINY.seed)
    learner, data = build(TINY)
    optimizer = torch.optim.Adam(learner.parameters(), lr=TINY.lr)
    losses = []
    for step in range(TINY.steps):
        optimizer.zero_grad()
        batch = data.train_batch(*divmod(step, TINY.check_every))
        learner.task.loss(learner(batch.inputs), batch).backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % TINY.check_every == 0:
            test = data.test_batch()
            losses.append(learner.task.loss(learner(test.inputs), test).item())
    curve = run(TINY)["result"]["curve"]
    assert curve["step"] == [5, 10, 15, 20]
    assert curve["loss"] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize(("task", "lag"), [("recall", 2), ("adding", 2)])
def test_it_stops_when_solved_and_says_at_which_step(task, lag):
    trial = replace(TINY, task=task, lag=lag, hidden_size=16, steps=1000, check_every=10, batch_size=32)
    result = run(trial)["result"]
    assert result["solved"] is not None
    assert result["steps"] == result["solved"] + 10 < 1000
    solved = [
        loss <= result["floor"] / 10 if task == "adding" else score >= 0.95
        for loss, score in zip(result["curve"]["loss"], result["curve"]["score"], strict=True)
    ]
    assert solved[-2:] == [True, True]
    assert result["before"]["half_life"] > 0


def test_a_loss_that_is_no_number_ends_it():
    result = run(replace(TINY, cell="Elman(nonlinearity='relu')", task="adding", optimizer="sgd", lr=1e8, clip=0.0))[
        "result"
    ]
    assert 1 < result["diverged"] <= 20
    assert result["solved"] is result["after"] is None
    assert all(map(math.isfinite, result["curve"]["loss"]))


def test_its_key_is_of_the_configuration_alone():
    assert TINY.key == replace(TINY).key
    assert len({replace(TINY, seed=seed, lr=lr).key for seed in range(3) for lr in (0.1, 0.2)}) == 6
    assert "clip" not in TINY.configuration  # None: a field that comes later changes no key


def test_what_cannot_be_is_refused_before_anything_runs():
    trials = [
        replace(TINY, cell="Elman", mitigations="OpenGate"),
        replace(TINY, mitigations="Chrono(span={lag})", lag=2),
        replace(TINY, mitigations="Chrono(span={lag})", lag=3),
        replace(TINY, task="copying", lag=10),
        replace(TINY, task="text", lag=None, mitigations="Chrono(span={lag})"),
    ]
    said = refusals(trials)
    assert [trials.index(trial) for trial in said] == [0, 1, 3, 4]
    assert "OpenGate suits no layer" in said[trials[0]]
    assert "span > 2" in said[trials[1]]
    assert "delay >= 1" in said[trials[3]]
    assert "text has no distance" in said[trials[4]]


@pytest.mark.parametrize("wrong", [{"steps": 7}, {"steps": 0}, {"lr": 0.0}, {"lr": math.nan}, {"share": 1.5}])
def test_sizes_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="A trial needs"):
        replace(TINY, **wrong)


def test_a_trial_builds_what_the_options_say():
    learner, data = build(
        replace(
            TINY, cell="Elman(nonlinearity='relu')", task="copying", lag=15, num_layers=2, optimizer="sgd", momentum=0.5
        )
    )
    assert isinstance(learner, Learner)
    assert learner.task.delay == 5
    assert learner.hparams["cell_options"] == {"nonlinearity": "relu"}
    assert data.batch_size == TINY.batch_size
    assert learner.configure_optimizers().param_groups[0]["momentum"] == 0.5
    learner, _ = build(replace(TINY, schedule="step", weight_decay=0.1))
    assert learner.hparams["schedule"] == "step"
    assert learner.build_optimizer().param_groups[0]["weight_decay"] == 0.1


def test_a_trial_keeps_the_key_that_it_always_had():
    assert Trial("GRU", "recall", 5).key == "e54607e3f3f7b7f4"


def test_what_acts_while_a_network_trains_acts_in_a_trial():
    learner, data = build(replace(TINY, mitigations="Curriculum(steps=20)"))
    assert data.regimes == learner.regimes != []
    assert [len(data.train_batch(0, step).inputs) for step in (0, 4)] != [5, 5]
    assert run(replace(TINY, mitigations="Curriculum(steps=20)"))["result"] != run(TINY)["result"]


def test_a_trial_that_is_logged_has_the_same_numbers(tmp_path):
    assert attempt_with_tensorboard(tmp_path, TINY)["result"] == run(TINY)["result"]
    assert list((tmp_path / "tensorboard" / TINY.key).glob("events*"))


def test_half_life_and_decades_are_those_of_the_loop_that_loses_most():
    """Two layers: of the lower the gradient of the answer comes through the upper, from its own last state."""
    trial = replace(TINY, num_layers=2)
    before = run(trial)["result"]["before"]
    torch.manual_seed(trial.seed)
    learner, data = build(trial)
    curves = retention(learner, (data.test_batch().inputs[:, :16], None))
    worst = min(curves.values(), key=lambda curve: curve.gain[trial.lag])
    assert len(curves) == 2
    assert before["half_life"] == pytest.approx(worst.half_life, rel=1e-4)
    assert before["decades_lost"] == pytest.approx(-math.log10(worst.gain[trial.lag]), rel=1e-4)
