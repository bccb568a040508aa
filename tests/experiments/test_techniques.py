"""Sections 13 to 19 and beyond: each computation against an independent one, each claim against a broken mechanism."""

import math
from itertools import permutations

import pytest
import torch
from broken_claims import broken
from torch import nn

from rnnvanish import cells
from rnnvanish.experiments import (
    activations,
    attention,
    beyond,
    claim_study,
    clipping,
    exploding,
    gru,
    initialisation,
    lstm,
    real,
    skips,
    workbench,
)
from rnnvanish.experiments.direct import direct
from rnnvanish.experiments.keras_start import keras_start
from rnnvanish.experiments.learning import Lesson
from rnnvanish.experiments.small import seeded
from rnnvanish.recurrent import Recurrent
from rnnvanish.studies.reader import memories


def lesson(steps):
    return Lesson(steps, [], [], nn.Module())


# What all share


def straight(factor):
    """A linear layer that hands its state on `factor` times as large: gain is factor to the power of the lag."""

    def build():
        layer = Recurrent(cells.Elman, 1, 4, nonlinearity="prelu")
        nn.init.eye_(layer.get_parameter("cells.0.from_h.weight")).data.mul_(factor)
        nn.init.ones_(layer.get_parameter("cells.0.nonlinearity.weight"))
        return layer

    return build


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1])
def test_curve_of_a_straight_layer_is_a_power(factor):
    measured = workbench.curve(straight(factor), 0)
    torch.testing.assert_close(measured.gain, factor ** measured.lag.double(), rtol=1e-5, atol=0)
    assert exploding.powers(straight(factor), 0) == pytest.approx(100 * math.log10(factor), rel=1e-4)


def test_a_bit_without_noise_in_between_is_learnt_at_once_and_its_lag_is_the_distance():
    assert workbench.learn(lambda: nn.RNN(1, 8), 1, 0, lr=2e-2).learnt
    asked = []
    workbench.learn(lambda: Spy(asked), 7, 0, limit=1)
    assert asked[-1] == 8  # the bit, and seven steps after it


class Spy(nn.RNN):
    def __init__(self, asked):
        super().__init__(1, 4)
        self.asked = asked

    def forward(self, x, state=None):
        self.asked.append(len(x))
        return super().forward(x, state)


def test_volume_and_features_are_those_of_what_is_read():
    read = []

    class Listener(nn.RNN):
        def forward(self, x, state=None):
            read.append(x.detach())
            return super().forward(x, state)

    for volume in (1.0, 5.0):
        workbench.curve(lambda: Listener(3, 8), 0, steps=40, features=3, volume=volume)
    quiet, loud = read[0], read[-1]
    assert quiet.shape == (40, workbench.BATCH, 3)
    assert float(quiet.std()) == pytest.approx(1, rel=0.1)
    torch.testing.assert_close(loud, 5 * quiet)


# 13


def test_a_start_that_helps_at_every_volume_or_at_none_is_noticed(monkeypatch):
    for times in (3.1, 2.9):
        monkeypatch.setattr(initialisation, "gained", lambda *_, times=times: times)
        broken(initialisation.glorot_keeps_gradients)
    for times in (1.1, 0.9):
        monkeypatch.setattr(activations, "swapped", lambda *_, times=times: times)
        broken(activations.rectifiers_vanish_less)


def test_starts_are_what_they_say():
    with seeded(0):
        glorot, turned = (initialisation.layer(start, scale=2.0)().weight_hh_l0 for start in ("Glorot", "orthogonal"))
    torch.testing.assert_close(turned @ turned.T, 4 * torch.eye(64), atol=1e-4, rtol=0)
    assert float(glorot.abs().max()) <= 2 * math.sqrt(6 / 128)
    assert float(glorot.square().mean()) == pytest.approx(4 * 2 / 128, rel=0.1)


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.LSTM, 4), (nn.GRU, 3)])
def test_the_start_of_keras_is_that_of_its_documentation(kind, gates):
    """glorot_uniform for the kernel (inputs, gates x units), orthogonal for the recurrent one, zeros, unit_forget_bias."""
    units, inputs = 24, 40
    with seeded(0):
        layer = keras_start(kind(inputs, units))
    kernel, recurrent = layer.weight_ih_l0.T, layer.weight_hh_l0.T  # as Keras has them
    limit = math.sqrt(6 / (inputs + gates * units))
    assert float(kernel.abs().max()) == pytest.approx(limit, rel=0.02)
    assert float(kernel.square().mean()) == pytest.approx(limit**2 / 3, rel=0.1)
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(units), rtol=0, atol=1e-5)
    bias = layer.bias_ih_l0 + layer.bias_hh_l0
    forget = torch.zeros(gates, units)
    if kind is nn.LSTM:
        forget[1] = 1  # i, f, c, o, as in torch
    assert torch.equal(bias, forget.flatten())


# 14


def test_clipping_is_the_formula_and_gradients_have_all_sizes():
    gradients = clipping.gradients(0, 50)
    for gradient in gradients:
        size = gradient.norm()
        torch.testing.assert_close(clipping.clip(gradient), gradient * min(1, 1 / size), rtol=1e-5, atol=0)
    sizes = gradients.norm(dim=1)
    assert sizes.min() < 1e-9
    assert sizes.max() > 1e9


def test_angles_are_those_of_geometry():
    east = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for degrees in (0, 30, 90, 180):
        radians = math.radians(degrees)
        other = torch.tensor([math.cos(radians), math.sin(radians)], dtype=torch.float64)
        assert clipping.angle(east, other) == pytest.approx(degrees, abs=1e-5)


def test_clipping_that_turns_nothing_or_turns_by_the_norm_is_noticed(monkeypatch):
    right = clipping.clip
    monkeypatch.setattr(clipping, "clip", lambda gradient, rule: gradient)
    broken(clipping.clipping_keeps_direction)
    monkeypatch.setattr(clipping, "clip", lambda gradient, rule: right(gradient, rule).roll(1))
    broken(clipping.clipping_keeps_direction)


# 15


def test_swap_is_the_activation_alone_and_identity_is_one():
    with seeded(0):
        plain = activations.layer("tanh")()
    with seeded(0):
        swapped = activations.layer("relu")()
    assert torch.equal(plain.weight_hh_l0, swapped.weight_hh_l0)
    assert (plain.nonlinearity, swapped.nonlinearity) == ("tanh", "relu")
    mended = activations.layer("relu", identity=True)()
    x = torch.rand(5, 2, 1)
    positive = mended.weight_ih_l0.flatten() > 0
    expected = (x.sum(0) * mended.weight_ih_l0.flatten())[:, positive]
    torch.testing.assert_close(mended(x)[0][-1][:, positive], expected)  # units that stay on add up what they read


def test_a_gradient_that_lasts_for_ever_is_noticed(monkeypatch):
    monkeypatch.setattr(activations, "curve", lambda build, seed, **_: workbench.curve(straight(1.0), seed))
    broken(activations.identity_start_lasts_for_ever)


# 16


def test_gradient_through_layers_is_that_of_finite_differences(monkeypatch):
    monkeypatch.setattr(skips, "HIDDEN", 3)
    monkeypatch.setattr(skips, "STEPS", 4)
    with seeded(0):
        network = skips.layered("residual")().double()
        x = torch.randn(4, 16, 1).double()
    slopes = []
    for sequence in range(16):
        nudge = torch.zeros_like(x)
        nudge[-1, sequence] = 1e-6
        slopes.append(float((network(x + nudge)[0][-1].sum() - network(x - nudge)[0][-1].sum()) / 2e-6))
    assert skips.through_layers("residual", 0) == pytest.approx(math.hypot(*slopes), rel=1e-5)


# 17 and 18


@pytest.mark.parametrize("gated", [lstm, gru])
def test_without_weights_the_gate_alone_decides_the_half_life(gated):
    """With recurrent weights of zero, a step back multiplies by the gate: σ(2)."""

    def build():
        layer = gated.layer(2.0)()
        for name, parameter in layer.named_parameters():
            if "weight" in name:
                nn.init.zeros_(parameter)
        return layer

    assert workbench.curve(build, 0).half_life == pytest.approx(
        -math.log(2) / math.log(1 / (1 + math.exp(-2))), rel=0.02
    )


def test_what_is_left_without_the_ways_through_the_output_is_the_gate_or_the_shortcut_alone():
    gate = torch.tensor(2.0, dtype=torch.float64).sigmoid()
    for module in (lstm, gru):
        left = workbench.curve(direct(module.layer(2.0)), 0, steps=21).gain[20]
        assert left == pytest.approx(float(gate**20), rel=0.2)  # the inputs still move the gates a little
    leaps = workbench.curve(direct(skips.through_time(lag=5)), 0, steps=21)
    assert leaps.gain[20] == pytest.approx(0.9**4, rel=1e-12)


# 19


def test_numbers_kept_by_attention_grow_with_the_square():
    growth = [attention.kept(True, 2 * steps) - attention.kept(False, 2 * steps) for steps in (100, 200, 400)]
    assert 3.5 < growth[1] / growth[0] < 4  # a part grows with the length alone
    assert 3.7 < growth[2] / growth[1] < 4
    assert attention.kept(False, 800) / attention.kept(False, 100) == pytest.approx(8, rel=0.05)


def test_fused_attention_is_the_same_and_keeps_no_weights():
    written = attention.layer(True, attention.NARROW)()
    x = torch.randn(30, 2, 1)
    for fused in (True, False):
        ours = attention.Looking(attention.NARROW, fused)
        ours.attention.load_state_dict(written.attention.state_dict())
        ours.rnn.load_state_dict(written.layer.to_torch().state_dict())
        torch.testing.assert_close(ours(x), written(x)[0])
    growth = [
        attention.kept(True, 2 * steps, fused=True) - attention.kept(True, steps, fused=True) for steps in (100, 200)
    ]
    assert growth[1] / growth[0] == pytest.approx(2, rel=0.01)


def test_work_is_that_of_the_matrix_products():
    """At each step 16 x (1 + 16) for the plain network; 16 x 16 twice for queries and keys; 16 twice for each pair of steps."""
    plain, looking = (attention.work(attends, 50) for attends in (False, True))
    assert plain == 50 * 16 * 17
    assert looking - plain == 50 * 2 * 16 * 16 + 2 * 50 * 50 * 16


def test_a_gradient_that_is_not_shared_out_is_noticed(monkeypatch):
    monkeypatch.setattr(attention, "curve", lambda attends, seed: workbench.curve(straight(1.0), seed))
    broken(attention.far_is_as_easy_as_near)


# Exploding


# Beyond


def test_rank_correlation_is_that_of_the_formula():
    """Without ties: 1 - 6 Σ d² / (n (n² - 1)), d the differences of the ranks."""
    for order in permutations(range(5)):
        squares = sum((rank - place) ** 2 for place, rank in enumerate(order))
        assert beyond.spearman(range(5), [math.exp(rank) for rank in order]) == pytest.approx(1 - 6 * squares / 120)
    assert beyond.ranks([3.0, 1.0, 3.0, math.inf]) == [2.5, 1.0, 2.5, 4.0]
    assert math.isnan(beyond.spearman([1, 2], [1, 1]))


def test_interval_holds_the_value_and_narrows_with_more_points():
    dice = torch.Generator().manual_seed(0)
    x, noise = torch.randn(2, 100, generator=dice, dtype=torch.float64)
    y = x + noise
    few = beyond.interval(x[:20].tolist(), y[:20].tolist(), draws=100)
    many = beyond.interval(x.tolist(), y.tolist(), draws=100)
    assert many[0] < beyond.spearman(x.tolist(), y.tolist()) < many[1]
    assert many[1] - many[0] < few[1] - few[0]


def test_a_point_is_the_mean_over_distances_where_what_is_not_learnt_counts_in_full(monkeypatch):
    rows = [
        {"solved": solved, "budget": 400, "half_life_before": float(lag)}
        for lag, solved in ((20, 40), (40, 140), (80, None))
    ]
    trained = {("GRU", "Chrono(span=100)", claim_study.fresh()[0]): rows}
    monkeypatch.setattr(beyond, "_trained", lambda: trained)
    assert beyond.point("GRU, chrono", 0) == (80.0, (40 + 140 + 400) / 3)


def test_the_pairs_are_those_that_the_study_has_trained_at_every_distance():
    assert {(pair.cell, pair.mitigations) for pair in beyond.PAIRS.values()} == {each[:2] for each in memories()}


def test_a_half_life_that_foretells_nothing_or_all_is_noticed(monkeypatch):
    for sign in (1, -1):
        place = {name: float(number) for number, name in enumerate(beyond.PAIRS)}
        monkeypatch.setattr(beyond, "point", lambda name, seed: (place[name], sign * place[name]))  # noqa: B023
        broken(beyond.half_life_foretells_memory)


def test_without_a_bend_nothing_is_lost():
    assert workbench.curve(beyond.straight(), 0).gain[100] == pytest.approx(1, rel=1e-3)


def test_the_middle_of_the_points_is_taken_network_by_network(monkeypatch):
    seeds = {"a": [(1.0, 5.0), (3.0, 20.0), (2.0, 10.0)], "b": [(9.0, 80.0), (math.inf, 40.0), (8.0, 0.0)]}
    monkeypatch.setattr(beyond, "point", lambda name, seed: seeds[name][seed])
    assert beyond.middle("ab") == [("a", 2.0, 10.0), ("b", 9.0, 40.0)]


# Real data


@pytest.mark.parametrize("data", real.TASKS)
def test_a_network_that_is_trained_does_better_than_one_that_remembers_nothing(data):
    result = real.train("RNN, orthogonal start", data, seed=0, rate=1e-2, steps=60)
    assert result.loss < 0.95
    assert result.seconds > 0


def test_an_answer_is_read_at_each_sequences_own_end_or_at_every_step():
    for data in ("speakers", "text"):
        task = real.TASKS[data][0]()
        batch = task.sample(4, torch.Generator().manual_seed(0))
        model = real.drawn("RNN", data, 0)
        together = model(batch.inputs, batch.lengths)
        for i in range(4):
            alone = model(batch.inputs[: None if batch.lengths is None else batch.lengths[i], i : i + 1])
            torch.testing.assert_close(together[..., i : i + 1, :], alone)


def test_what_a_page_draws_beside_a_stored_claim_is_not_measured_again(monkeypatch):
    trained = []

    def train(*given):
        trained.append(given)
        return real.Result(1.0, 0.5, 0.5, 1.0)

    monkeypatch.setattr(real, "train", train)
    for claim in (real.helps_where_clues_are_far, real.helps_everywhere):
        claim.sample(10**6)
        once = len(trained)
        claim.detail(10**6)
        assert len(trained) == once


def test_a_cure_that_does_nothing_is_noticed(monkeypatch):
    monkeypatch.setattr(real, "best", lambda network, data, seed, steps: real.Result(1.0, 0.5, 0.5, 1.0))
    broken(real.helps_where_clues_are_far)
    broken(real.helps_everywhere)


def test_a_cure_that_always_helps_is_noticed(monkeypatch):
    losses = {"RNN": 1.0, "LSTM": 1.0}
    monkeypatch.setattr(real, "best", lambda name, data, seed, steps: real.Result(1.0, losses.get(name, 0.5), 0.5, 1.0))
    assert real.gain("text", "LSTM", 0) == 0.5
    broken(real.helps_everywhere)


def test_the_better_rate_is_chosen_by_the_training_data(monkeypatch):
    results = {3e-3: real.Result(learnt=0.2, loss=0.9, right=0.1, seconds=1.0), 1e-2: real.Result(0.3, 0.1, 0.9, 1.0)}
    monkeypatch.setattr(real, "train", lambda network, data, seed, rate, steps: results[rate])
    assert real.best.__wrapped__("RNN", "digits", 0, 1).loss == 0.9
