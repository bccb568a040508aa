"""Cures for what a truncation leaves out: held against real-time recurrent learning, and that against backpropagation.

Real-time recurrent learning is written here with whole Jacobians, in double precision: Williams & Zipser (1989).
"""

import itertools
from functools import partial

import pytest
import torch
from builds import HIDDEN, INPUT, sequences
from torch import nn
from torch.func import functional_call, jacrev

from rnnvanish import Recurrent, cells
from rnnvanish.layers import state_parts
from rnnvanish.mitigations import uoro
from rnnvanish.mitigations.synthetic_gradients import SyntheticGradients
from rnnvanish.mitigations.uoro import UORO
from rnnvanish.mitigations.warm_state import WarmState

KINDS = ("Elman", "GRU", "LSTM")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def small(kind, hidden=2):
    """One cell's layer, run as a plain loop."""
    return Recurrent(cells.ALL[kind], INPUT, hidden, engine="reference").double()


def factors(steps, sequences=1, hidden=2):
    return torch.linspace(-1, 2, steps * sequences * hidden).double().view(steps, sequences, hidden)


def wanted(output):
    """A loss that asks every step, and each one differently."""
    return (output.sin() * factors(*output.shape)).sum()


def flat(parts):
    return torch.cat([part.flatten() for part in parts])


def by_backpropagation(layer, x):
    return flat(torch.autograd.grad(wanted(layer(x)[0]), list(layer.parameters())))


def by_real_time_recurrent_learning(layer, x):
    """G ← J G + ∂F/∂θ, forward in time, for one sequence; what each step's loss asks of G is added up."""
    cell = layer.cells[0]
    weights = {name: weight.detach() for name, weight in cell.named_parameters()}
    shapes = [part.shape for part in cell.initial_state(x[0])]

    def step(weights, now, row):
        parts = [piece.view(shape) for piece, shape in zip(row.split([s.numel() for s in shapes]), shapes, strict=True)]
        return flat(functional_call(cell, weights, (now, tuple(parts))))

    with torch.no_grad():
        outputs = layer(x)[0]
    asked = torch.autograd.functional.jacobian(wanted, outputs)
    row, total = x.new_zeros(sum(shape.numel() for shape in shapes)), 0.0
    influence = x.new_zeros(len(row), sum(weight.numel() for weight in weights.values()))
    for now, loss in zip(x, asked, strict=True):
        own = jacrev(step, argnums=2)(weights, now, row)
        direct = jacrev(step, argnums=0)(weights, now, row)
        influence = own @ influence + torch.cat([part.flatten(1) for part in direct.values()], dim=1)
        row = step(weights, now, row)
        total = total + loss.flatten() @ influence[: loss.numel()]  # the first part is what is handed on
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_learning_forward_in_time_is_backpropagation_through_the_whole_sequence(kind):
    layer, x = small(kind, hidden=3), sequences(9)[:, :1]
    expected = by_backpropagation(layer, x)
    torch.testing.assert_close(by_real_time_recurrent_learning(layer, x), expected, rtol=1e-10, atol=1e-10)


# UORO.


def every_sign(monkeypatch, steps, width):
    """Let each row of a batch have other signs: the batch has all that there are, each once."""
    rows = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=(steps - 1) * width))).double()
    each = iter([*rows.split(width, dim=1), torch.ones(len(rows), width).double()])
    monkeypatch.setattr(uoro, "random_signs", lambda like: next(each))
    return len(rows)


@pytest.mark.parametrize(("kind", "steps"), [("Elman", 4), ("GRU", 4), ("LSTM", 3)])
def test_the_mean_over_all_signs_is_the_exact_gradient(kind, steps, monkeypatch):
    """Not nearly: all signs that there are, each once."""
    layer, x = small(kind), sequences(steps)[:, :1]
    exact = by_real_time_recurrent_learning(layer, x)
    width = sum(part.numel() for part in layer.cells[0].initial_state(x[0]))
    count = every_sign(monkeypatch, steps, width)
    output = UORO()(layer).train()(x.expand(steps, count, INPUT))[0]
    estimates = flat(torch.autograd.grad(sum(wanted(output[:, [row]]) for row in range(count)), [*layer.parameters()]))
    torch.testing.assert_close(estimates / count, exact, rtol=1e-9, atol=1e-11)


def test_what_is_carried_reaches_across_windows(monkeypatch):
    """Two windows, the state detached between them: the mean is the gradient of the uncut sequence, all the same."""
    layer, x = small("Elman"), sequences(4)[:, :1]
    exact = by_real_time_recurrent_learning(layer, x)
    count = every_sign(monkeypatch, 4, 2)
    cure = WarmState(windows=2)
    warm = cure(UORO()(layer)).train()
    whole = x.expand(4, count, INPUT)
    found = 0.0
    for step, (window, weight) in enumerate(zip(whole.split(2), factors(4).split(2), strict=True)):
        cure.begin(warm, step)
        found = found + flat(torch.autograd.grad((warm(window)[0].sin() * weight).sum(), [*layer.parameters()]))
    torch.testing.assert_close(found / count, exact, rtol=1e-9, atol=1e-11)


def test_uoro_keeps_its_invariant_once_trained(monkeypatch):
    """A little training by the estimate: the loss falls, and the mean over all signs is still the exact gradient."""
    layer, x, target = UORO()(small("Elman")).train(), sequences(6), torch.randn(4, 2).double()
    adam, losses = torch.optim.Adam(layer.parameters(), lr=0.02), []
    for _ in range(60):
        adam.zero_grad()
        loss = (layer(x)[0][-1] - target).square().mean()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    bare = Recurrent(lambda *sizes: layer.cells[0].cell, INPUT, 2, engine="reference")
    exact = by_real_time_recurrent_learning(bare, x[:4, :1])
    count = every_sign(monkeypatch, 4, 2)
    output = layer(x[:4, :1].expand(4, count, INPUT))[0]
    mean = flat(torch.autograd.grad(sum(wanted(output[:, [row]]) for row in range(count)), [*layer.parameters()]))
    torch.testing.assert_close(mean / count, exact, rtol=1e-8, atol=1e-10)


def test_uoro_changes_no_value_and_in_evaluation_nothing():
    layer, x = small("LSTM", HIDDEN), sequences()
    expected, gradient = layer(x)[0], by_backpropagation(layer, x)
    estimated = UORO()(layer)
    torch.testing.assert_close(estimated.train()(x)[0], expected, rtol=0, atol=0)
    torch.testing.assert_close(estimated.eval()(x)[0], expected, rtol=0, atol=0)
    torch.testing.assert_close(by_backpropagation(estimated, x), gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (partial(nn.LSTM, 2, 3, num_layers=2), "one layer in one direction"),
        (partial(nn.GRU, 2, 3, bidirectional=True), "one layer in one direction"),
        (partial(Recurrent, cells.LRU, 2, 4), "of real numbers.* got LRU"),
        (partial(Recurrent, cells.QRNN, 2, 4), "hands on its state.* got QRNN"),
    ],
)
def test_uoro_says_what_it_cannot_estimate(build, said):
    with pytest.raises(ValueError, match=said):
        UORO()(build())


def test_uoro_refuses_an_input_that_wants_a_gradient():
    with pytest.raises(ValueError, match="must not want one"):
        UORO()(nn.GRU(2, 3)).train()(torch.randn(3, 2, 2, requires_grad=True))


# Synthetic gradients.


def guesses(layer):
    cell = layer.cells[0]
    return cell.guess_weight, cell.guess_bias


@pytest.mark.parametrize("kind", KINDS)
def test_a_guess_of_nothing_is_a_plain_truncation(kind):
    """Window by window by hand, each with a detached state."""
    layer, x = small(kind), sequences(7)[:, :1]
    own, weights, state, loss = [*layer.parameters()], factors(7), None, 0.0
    for window, weight in zip(x.split(3), weights.split(3), strict=True):
        output, state = layer(window, state)
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        loss = loss + (output.sin() * weight).sum()
    truncated = flat(torch.autograd.grad(loss, own))
    found = torch.autograd.grad(wanted(SyntheticGradients(window=3)(layer)(x)[0]), own)
    torch.testing.assert_close(flat(found), truncated, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_true_guess_the_gradient_is_that_of_the_whole_sequence(kind):
    """One cut, and as the guess what autograd finds behind it."""
    layer, x = small(kind), sequences(6)[:, :1]
    own, whole = [*layer.parameters()], by_backpropagation(layer, x)
    leaves = tuple(part.detach().requires_grad_() for part in state_parts(layer(x[:3])[1]))
    tail = layer(x[3:], leaves if len(leaves) > 1 else leaves[0])[0]
    true = torch.autograd.grad((tail.sin() * factors(6)[3:]).sum(), leaves)
    cut = SyntheticGradients(window=3)(layer)
    with torch.no_grad():
        guesses(cut)[1].copy_(flat(true))
    found = torch.autograd.grad(wanted(cut(x)[0]), own)
    torch.testing.assert_close(flat(found), whole, rtol=1e-9, atol=1e-11)


def test_the_guess_learns_by_the_square_of_its_error():
    """The gradient of its weights by hand, of two cuts: the second's target holds no guess, the first's that of the second."""
    cut, x = SyntheticGradients(window=2)(small("Elman")), sequences(6)
    cell = cut.cells[0]
    with torch.no_grad():
        nn.init.normal_(cell.guess_weight, std=0.3)
        nn.init.normal_(cell.guess_bias, std=0.3)
    weight, bias = torch.autograd.grad(wanted(cut(x)[0]), guesses(cut))
    weights = factors(6, 4).split(2)
    bare = Recurrent(lambda *sizes: cell.cell, INPUT, 2, engine="reference")
    states, targets = [], []
    state = None
    for window, factor in zip(x.split(2), weights, strict=True):
        start = state
        output, state = bare(window, start)
        loss = (output.sin() * factor).sum()
        if factor is not weights[-1]:  # what comes from beyond its end is the guess there
            guess = (state[0] @ cell.guess_weight.T + cell.guess_bias).detach()
            loss = loss + (state[0] * guess).sum()
        if start is not None:
            targets.append(torch.autograd.grad(loss, start)[0][0])
        state = state.detach().requires_grad_()
        states.append(state[0].detach())

    def square(weight, bias):
        pairs = zip(states[:2], targets, strict=True)
        return sum((s @ weight.T + bias - target).square().sum() / 2 for s, target in pairs)

    expected = torch.func.grad(square, argnums=(0, 1))(cell.guess_weight.detach(), cell.guess_bias.detach())
    torch.testing.assert_close((weight, bias), expected, rtol=1e-9, atol=1e-11)


def test_trained_the_guess_comes_closer_to_what_arrives():
    """The weights of the layer stand still: its gradient comes from that of a truncation towards the whole one."""
    layer, x = small("GRU", 4), sequences(6).repeat(1, 8, 1)
    x[2:] = 0.0  # what is yet to come is known from the state

    def loss(layer):
        return (layer(x)[0][-1] - 1).square().sum()

    own = [*layer.parameters()]
    whole = flat(torch.autograd.grad(loss(layer), own))
    cut, far = SyntheticGradients(window=2)(layer), []
    adam = torch.optim.Adam(guesses(cut), lr=0.05)
    for _ in range(150):
        cut.zero_grad()
        loss(cut).backward()
        far.append((flat([weight.grad for weight in own]) - whole).norm() / whole.norm())
        adam.step()
    assert far[0] > 0.15
    assert far[-1] < 0.15 * far[0]


def test_numbers_are_checked():
    with pytest.raises(ValueError, match="window >= 1"):
        SyntheticGradients(0)
