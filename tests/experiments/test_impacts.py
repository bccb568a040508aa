"""Sections 7 to 12: each computation against an independent one, and each claim against a mechanism that is broken."""

import math

import pytest
import torch
from broken_claims import broken
from torch import nn

from rnnvanish import probes
from rnnvanish.experiments import depth, instability, longterm, plateau, slow
from rnnvanish.experiments.learning import Lesson, Reader
from rnnvanish.experiments.small import difference
from rnnvanish.tasks import Recall

# Section 7


def test_useful_part_is_that_of_finite_differences():
    network, length = slow.start(0, 6), 6
    useful = slow.useful(0, length)
    inputs = Recall(length).sample(slow.BATCH, torch.Generator().manual_seed(0)).inputs.double()

    @torch.no_grad()
    def separation():
        answers = []
        for first in (1.0, -1.0):
            twins = inputs.clone()
            twins[0] = first
            answer = network(twins)
            answers.append((answer[:, 1] - answer[:, 0]).mean())
        return (answers[0] - answers[1]) / 2

    weights = list(network.layer.parameters())
    start = nn.utils.parameters_to_vector(weights)
    direction = torch.randn_like(start)
    ends = []
    for step in (1e-5, -1e-5):
        nn.utils.vector_to_parameters(start + step * direction, weights)
        ends.append(separation())
    torch.testing.assert_close((ends[0] - ends[1]) / 2e-5, useful @ direction, rtol=1e-5, atol=0)


def test_batches_aim_well_where_the_answer_is_near_and_worse_the_further_it_is():
    aims = [slow.aim(0, length) for length in (2, 10, 40)]
    assert aims[0] > 0.5
    assert aims == sorted(aims, reverse=True)


def test_pairs_leave_what_a_batch_has_beside_its_noise():
    """The gradient of a large batch tends to that of pairs; and of a network that cannot tell twins apart nothing is left but the even guess."""
    network = slow.start(0, 5)
    sample = Recall(5).sample(20000, torch.Generator().manual_seed(0))
    whole = slow.gradient(network, Recall(5).loss(network(sample.inputs.double()), sample))
    assert difference(slow.paired(network, 5, 0, 5000), whole) < 0.2
    network.answer.weight.data.zero_()
    network.answer.bias.data.zero_()
    assert float(slow.paired(network, 5, 0).norm()) == 0


def test_lengths_share_their_weights():
    for near, far in zip(slow.start(3, 5).parameters(), slow.start(3, 80).parameters(), strict=True):
        assert torch.equal(near, far)


def test_a_gradient_that_is_wholly_tiny_or_wholly_useful_is_noticed(monkeypatch):
    update, useful = slow.update, slow.useful
    with monkeypatch.context() as patch:
        patch.setattr(
            slow, "update", lambda seed, length, batch=0, network=None: update(seed, length, batch) / length**2
        )
        broken(slow.whole_gradient_is_tiny)
    with monkeypatch.context() as patch:
        patch.setattr(slow, "useful", lambda seed, length, network=None: useful(seed, 5))
        broken(slow.useful_part_is_tiny)
    with monkeypatch.context() as patch:
        patch.setattr(slow, "update", lambda seed, length, batch=0, network=None: -useful(seed, length))
        broken(slow.batches_show_the_way)


# Section 8


def test_gradient_of_the_switch_is_that_of_autograd():
    states = longterm.latch(0, steps=12)
    h = states[0].clone().requires_grad_()
    noise = torch.randn(12, longterm.SWITCHES, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    state = h
    for now in noise:
        state = torch.tanh(2 * state + 0.2 * now)
    torch.testing.assert_close(state.detach(), states[-1])
    slope = torch.autograd.grad(state.sum(), h)[0]
    assert float(-slope.log10().mean()) == pytest.approx(float(longterm.lost(states)[-1]), rel=1e-9)


def test_a_weak_switch_forgets_and_a_strong_one_keeps():
    assert longterm.kept(longterm.latch(0, weight=0.9)) < 0.6
    assert longterm.kept(longterm.latch(0, weight=3.0)) == 1


def test_score_is_that_of_who_knows():
    class Knows(nn.Module):
        def forward(self, x):
            return torch.stack([-x[0, :, 0], x[0, :, 0]], dim=-1)

    class Guesses(nn.Module):
        def forward(self, x):
            return torch.stack([-x[-1, :, 0], x[-1, :, 0]], dim=-1)

    assert longterm.score(Lesson(1, [], [], Knows())) == 1
    assert longterm.score(Lesson(1, [], [], Guesses())) == pytest.approx(0.5, abs=0.1)


# Section 9


def test_curvatures_are_those_of_finite_differences():
    here, _ = plateau.stuck(0, steps=20)
    bends = plateau.curvatures(here)
    start = nn.utils.parameters_to_vector(here.weights()).detach()
    rows = []
    for k in range(len(start)):
        ends = []
        for step in (1e-5, -1e-5):
            moved = start.clone()
            moved[k] += step
            nn.utils.vector_to_parameters(moved, here.weights())
            ends.append(here.slope())
        rows.append((ends[0] - ends[1]) / 2e-5)
    hessian = torch.stack(rows)
    torch.testing.assert_close(bends, torch.linalg.eigvalsh((hessian + hessian.T) / 2), rtol=1e-4, atol=1e-6)


def test_a_walk_takes_steps_of_its_length_and_a_climb_is_counted_from_the_lowest_point():
    here, _ = plateau.stuck(0, steps=1)
    before = nn.utils.parameters_to_vector(here.weights()).detach()
    plateau.walk(here, stride=0.03, limit=1)
    after = nn.utils.parameters_to_vector(here.weights()).detach()
    assert float((after - before).norm()) == pytest.approx(0.03)
    assert plateau.climb([0.7, 0.6, 0.65, 0.68, 0.2]) == pytest.approx(0.08)
    assert plateau.climb([0.7, 0.5, 0.2]) == 0
    assert plateau.climb([0.7, 0.6]) == math.inf


def test_a_network_that_is_not_stuck_is_noticed(monkeypatch):
    class Solved(Reader):
        def forward(self, x):
            return super().forward(x) + torch.cat([-9 * x[0], 9 * x[0]], dim=-1)

    monkeypatch.setattr(plateau, "Reader", Solved)
    broken(plateau.halts_at_guessing)


def test_the_flattest_place_is_on_the_way_and_no_place_of_it_is_flatter():
    sizes = [float(plateau.stuck(0, steps)[0].slope().norm()) for steps in (0, 50, 100, 149)]
    assert float(plateau.flattest(0).slope().norm()) <= min(sizes)


def test_escape_counts_the_steps_of_training():
    steps = plateau.escape(0)
    assert plateau.stuck(0, int(steps), plateau.FAST)[0].loss().item() < plateau.OUT
    assert plateau.stuck(0, int(steps) - 1, plateau.FAST)[0].loss().item() >= plateau.OUT
    assert plateau.escape(0, limit=int(steps)) == math.inf


def test_who_knows_by_heart_alone_is_noticed(monkeypatch):
    monkeypatch.setattr(plateau, "right", lambda *_: 0.5)
    broken(plateau.learns_by_heart)


class Bowl(nn.Module):
    """A minimum, at a loss that is not zero: no way leads out."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.full((3,), 0.01, dtype=torch.float64))


def test_a_local_minimum_is_noticed(monkeypatch):
    monkeypatch.setattr(plateau.Landscape, "loss", lambda here: math.log(2) + here.network.w.square().sum())
    batch = Recall(2).sample(1, torch.Generator())
    monkeypatch.setattr(plateau, "Reader", Bowl)
    monkeypatch.setattr(plateau, "stuck", lambda *_, **__: (plateau.Landscape(Bowl(), batch), []))
    broken(plateau.every_way_leads_up)
    broken(plateau.way_out_leads_up)


# Section 10


def test_size_of_the_derivative_is_that_of_autograd_and_of_the_probe():
    layer, x = instability.network(0)
    start = torch.zeros(1, 1, instability.HIDDEN, dtype=torch.float64)
    whole = torch.autograd.functional.jacobian(lambda h: layer(x, h)[1], start)
    assert instability.jacobian(0) == pytest.approx(float(whole.norm()) / 8, rel=1e-9)
    # From the state after the first step on, it is what the probe multiplies.
    tail = probes.jacobian(layer, x, instability.STEPS - 1)
    later = layer(x[:1])[1].detach()
    whole = torch.autograd.functional.jacobian(lambda h: layer(x[1:], h)[1], later)
    assert float(whole.norm()) / 8 == pytest.approx(float(tail.square().mean().sqrt()), rel=1e-6)


def test_distance_is_that_which_the_derivative_foretells():
    for scale in (1.5, 2.0, 2.5):
        layer, x = instability.network(1, scale)
        with instability.seeded(1):
            nudge = nn.functional.normalize(torch.randn(1, 1, instability.HIDDEN, dtype=torch.float64), dim=-1)
        _, moved = torch.func.jvp(lambda h, layer=layer, x=x: layer(x, h)[1], (0 * nudge,), (nudge,))
        assert float(instability.distance(1, scale)[-1]) == pytest.approx(float(moved.detach().norm()), rel=1e-3)


def test_derivative_by_the_first_input_is_that_of_autograd_and_foretells_the_distance():
    for scale in (1.5, 2.5):
        layer, x = instability.network(1, scale, steps=12)
        whole = torch.autograd.functional.jacobian(
            lambda now, layer=layer, x=x: layer(torch.cat([now, x[1:]]))[1], x[:1]
        )
        assert instability.jacobian(1, scale, "input", 12) == pytest.approx(float(whole.norm()), rel=1e-9)
        assert float(instability.distance(1, scale, "input", 12)[-1]) == pytest.approx(float(whole.norm()), rel=1e-3)


def test_twins_that_are_trained_apart_are_noticed(monkeypatch):
    monkeypatch.setattr(instability, "TRAINED", 2)
    right = instability.trained_apart
    assert 0 < right(0) < 3
    monkeypatch.setattr(instability, "trained_apart", lambda seed, scale: 300 * right(seed, scale))
    broken(instability.training_is_unstable)


def test_what_cannot_be_told_from_rounding_is_not_a_number():
    assert math.isnan(instability.distance(0, 0.5)[-1])
    assert float(instability.distance(0, 0.5)[0]) == 1


def test_twins_that_part_where_gradients_vanish_are_noticed(monkeypatch):
    right = instability.network
    monkeypatch.setattr(
        instability, "network", lambda seed, scale=1.0, steps=30: right(seed, 4.0 if scale == 1 else 1.5, steps)
    )
    broken(instability.vanishing_is_unstable)
    broken(instability.exploding_is_unstable)


def test_a_distance_that_does_not_follow_the_gradient_is_noticed(monkeypatch):
    right = instability.distance
    monkeypatch.setattr(instability, "distance", lambda seed, scale, what, steps: 1 / right(seed, scale, what, steps))
    broken(instability.nudges_match_gradients)


# Section 12


def test_gradient_left_is_that_of_the_way_back_by_hand():
    stack, x = depth.drawn(0, "tanh")
    states = [state.detach() for state in stack.states(x)]
    gradient = stack.answer.weight.detach().expand(depth.BATCH, -1)
    sizes = [float(gradient.norm())]
    for layer, state in zip(reversed(stack.layers), reversed(states[1:]), strict=False):
        gradient = (gradient * (1 - state**2)) @ layer.weight.detach()
        sizes.append(float(gradient.norm()))
    ours = depth.left(0, "tanh")
    torch.testing.assert_close(ours, torch.tensor(sizes[::-1], dtype=torch.float64) / sizes[0])
    assert depth.factor(0, "tanh") == pytest.approx((sizes[-1] / sizes[0]) ** (1 / 19))


def test_shared_layers_have_one_matrix_whose_gradient_is_the_sum():
    stack, x = depth.drawn(0, "sigmoid", shared=True)
    assert len(stack.layers) == 1
    own = depth.Stack("sigmoid").double()
    for layer in own.layers:
        layer.load_state_dict(stack.layers[0].state_dict())
    own.answer.load_state_dict(stack.answer.state_dict())
    for network in (stack, own):
        network.answer(network.states(x)[-1]).sum().backward()
    total = sum(layer.weight.grad for layer in own.layers)
    assert difference(total, stack.layers[0].weight.grad) < 1e-10
    assert depth.smallest_update(0, shared=True) == pytest.approx(1, rel=0.5)


def test_layers_that_keep_or_lose_the_gradient_are_noticed(monkeypatch):
    for kept in (0.4, 0.6):  # with each of the three starts
        monkeypatch.setattr(depth, "factor", lambda *_, kept=kept: kept)
        broken(depth.sigmoid_layers_lose)
    right = depth.left
    monkeypatch.setattr(depth, "left", lambda seed, kind, start: right(seed, "sigmoid", start))
    broken(depth.every_stack_loses)


def test_a_centred_start_is_four_times_as_large_and_works_in_the_steep_middle():
    stack, x = depth.drawn(0, "sigmoid", "centred")
    for layer in stack.layers:
        assert float(layer.weight.detach().square().mean()) == pytest.approx(16 / depth.WIDTH, rel=0.1)
        assert float(layer(torch.full((1, depth.WIDTH), 0.5).double()).detach().abs().max()) < 1e-5
    top = stack.states(x)[-1]
    assert float((4 * top * (1 - top)).detach().mean()) > 0.95  # slope, as a part of its largest


def test_depth_that_is_time_is_noticed(monkeypatch):
    right = depth.smallest_update
    monkeypatch.setattr(depth, "smallest_update", lambda seed, shared, highest: right(seed, True))
    broken(depth.depth_is_time)


def test_stacks_that_learn_alike_are_noticed(monkeypatch):
    monkeypatch.setitem(depth.SQUASH, "tanh", torch.sigmoid)
    monkeypatch.setattr(depth, "reads_digits", depth.reads_digits.__wrapped__)
    monkeypatch.setattr(depth, "best_rate", lambda kind, limit: depth.RATE)
    broken(depth.real_digits_too)
