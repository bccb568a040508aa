"""Claims of the sections that stand in files of their own: each computation against an independent one."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from rnnvanish import cells
from rnnvanish.claim import ClaimBroken
from rnnvanish.experiments import (
    adam,
    attention,
    dense_loss,
    gru,
    nonnormal,
    normalisation,
    precision,
    skips,
    trained_gates,
    transition,
    vanishing,
)
from rnnvanish.experiments.workbench import curve
from rnnvanish.studies.reader import Results
from rnnvanish.studies.study import Study

FEW = 1  # seed


def broken(claim):
    with pytest.raises(ClaimBroken):
        claim.check(FEW)


# Section 5


def test_all_eigenvalues_are_the_same_number():
    weights = nonnormal.network(0).get_parameter("weight_hh_l0").detach()
    assert (weights.tril(-1) == 0).all()  # of a triangular matrix they stand on its diagonal
    assert (weights.diagonal() == nonnormal.BIGGEST).all()


def test_the_stretch_is_the_norm_of_the_power():
    layer = nonnormal.network(1)
    weights = layer.get_parameter("weight_hh_l0").detach()
    power = torch.linalg.matrix_power(weights, 20)
    assert nonnormal.stretch(layer, 20) == pytest.approx(float(torch.linalg.matrix_norm(power, 2)))
    assert nonnormal.stretch(nonnormal.network(1, 0.0), 20) == pytest.approx(nonnormal.BIGGEST**20)
    assert float(torch.linalg.matrix_power(weights, 3000).norm()) < 1e-6  # in the end the eigenvalues tell


# Section 6


def test_steps_are_silent_where_double_precision_says_that_half_cannot_hold_them():
    exact = precision.silent(0, dtype=torch.float64)
    assert exact[0] == 0
    layer, _ = vanishing.network(0, dtype=torch.float32)
    with precision.seeded(0):
        x = torch.randn(precision.STEPS, vanishing.BATCH, 1).double().requires_grad_()
    size = torch.autograd.grad(layer.double()(x)[0][-1].sum(), x)[0].abs().amax(dim=(1, 2))
    for scale, count in zip(precision.SCALES[:12:5], precision.silent(0)[:12:5], strict=True):
        assert count == pytest.approx(int((scale * size < 2**-25).sum()), abs=20)  # rounding on the way adds some


# Section 7


def test_adam_goes_where_the_sign_points():
    weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
    rule = torch.optim.Adam([weight], lr=0.1)
    weight.grad = torch.tensor([1e-4, -5.0, 0.03])
    before = weight.detach().clone()
    rule.step()
    torch.testing.assert_close(before - weight.detach(), 0.1 * adam.first_step(weight.grad), rtol=1e-3, atol=0)


def test_plain_descent_takes_a_step_as_large_as_its_gradient():
    tiny = adam.moved(0, torch.optim.SGD, 1e-6)
    assert tiny / adam.moved(0, torch.optim.SGD, 1e-3) == pytest.approx(1e-3, rel=1e-3)


def test_losses_add_up_and_the_last_is_a_part():
    every, far, last = dense_loss.sizes(0, "orthogonal")
    assert every > far > last > 0
    assert dense_loss.sizes(0)[2] < 1e-15 < dense_loss.sizes(0)[1]


# Sections 12, 13, 16 and 18


def test_a_step_of_several_layers_loses_that_power():
    one, four = (curve(transition.highway(depth), 0).half_life for depth in (1, 4))
    assert four == pytest.approx(one / 4, rel=0.1)


def test_normalising_helps_a_plain_network_some():
    layer = normalisation.layer(cells.Elman)
    for seed in range(2):
        gained = curve(layer, seed).half_life / curve(skips.dilated(1), seed).half_life
        assert 1.5 < gained < 5


def test_a_dilated_network_is_networks_that_take_turns():
    with precision.seeded(0):
        layer = skips.dilated(8)()
    with precision.seeded(0):
        plain = skips.dilated(1)()
    x = torch.randn(24, 3, 1)
    for turn in (0, 5):
        torch.testing.assert_close(layer(x)[0][turn::8], plain(x[turn::8])[0])


def test_clocks_that_all_tick_are_noticed(monkeypatch):
    right = skips.clockwork
    monkeypatch.setattr(skips, "clockwork", lambda periods: right((1,)))
    broken(skips.slow_clocks_remember)


@pytest.mark.parametrize("bias", [-1.0, 0.0, 3.0])
def test_a_gate_has_kept_half_after_its_time_constant(bias):
    assert (1 / (1 + math.exp(-bias))) ** gru.time_constant(bias) == pytest.approx(0.5)


def test_half_lives_after_training_are_those_of_what_was_learnt():
    trials = (
        (20, 1, 25, 8.0),
        (20, 1, 50, 6.0),
        (20, 1, None, 99.0),
        (10, 1, 25, 2.0),
        (40, 1, None, 1.0),
        (10, 0, 25, 5.0),
    )
    common = {"task": "recall", "cell": "LSTM", "mitigations": "OpenGate"}
    rows = [common | dict(zip(("lag", "seed", "solved", "half_life_after"), each, strict=True)) for each in trials]
    found = Results(Study("first", cells=["LSTM"], tasks=["recall"], lags=[10]), rows, [], {}, {}, [], [], "again", {})
    assert trained_gates.half_lives(1, "LSTM", found) == {10: 2.0, 20: 7.0}
    assert trained_gates.half_lives(1, "GRU", found) == {}


# Section 19


def test_before_training_attention_gives_all_the_same():
    gain = attention.looked_at(0, 0)[5 : attention.SHORT + 1]
    assert float(gain.max() / gain.min()) < 1.2


def test_attention_that_learns_nothing_is_noticed():
    broken(
        replace(attention.attention_finds_it, sample=lambda seed: attention.attention_finds_it.sample(seed, limit=0))
    )
