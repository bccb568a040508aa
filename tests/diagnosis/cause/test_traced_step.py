"""The cause of any step: it does not depend on how a formula is written, finds what was planted, and adds up."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from rnnvanish import Recurrent
from rnnvanish.cell import Cell, Paper
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.diagnosis.cause.traced_step import TracedStep
from rnnvanish.probes import retention

ROWS, WIDTH, HIDDEN = 20, 3, 6
DOUBLE = torch.float64


class Weights(nn.Module):
    """Of several blocks: as one matrix of the state and one of the input, as one of both, and block by block."""

    def __init__(self, blocks):
        super().__init__()
        torch.manual_seed(blocks)
        u, v, b = (torch.randn(blocks * HIDDEN, *size, dtype=DOUBLE) for size in ((HIDDEN,), (WIDTH,), ()))
        self.u, self.v, self.b, self.both = map(nn.Parameter, (u, v, b, torch.cat([v, u], 1)))
        self.us, self.vs, self.bs, self.boths = (
            nn.ParameterList(part.clone() for part in each.chunk(blocks)) for each in (u, v, b, self.both.detach())
        )


THREE, FOUR = Weights(3), Weights(4)


def gates_of_gru(xs, hs):
    (xr, xz, xn), (hr, hz, hn) = xs, hs
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    return z, torch.tanh(xn + r * hn)


def fused(x, h):
    return gates_of_gru(linear(x, THREE.v, THREE.b).chunk(3, -1), linear(h, THREE.u).chunk(3, -1))


def gru(x, state):
    z, n = fused(x, state[0])
    return ((1 - z) * n + z * state[0],)


def gru_by_a_difference(x, state):
    z, n = fused(x, state[0])
    return (n + z * (state[0] - n),)


def gru_by_lerp(x, state):
    z, n = fused(x, state[0])
    return (torch.lerp(n, state[0], z),)


def gru_block_by_block(x, state):
    xs = [linear(x, v, b) for v, b in zip(THREE.vs, THREE.bs, strict=True)]
    z, n = gates_of_gru(xs, [state[0] @ u.T for u in THREE.us])
    return (n - z * n + z * state[0],)


def gru_by_einsum(x, state):
    xs = torch.einsum("bi,goi->bgo", x, THREE.v.view(3, HIDDEN, WIDTH)) + THREE.b.view(3, HIDDEN)
    hs = torch.einsum("bi,goi->bgo", state[0], THREE.u.view(3, HIDDEN, HIDDEN))
    z, n = gates_of_gru(xs.unbind(1), hs.unbind(1))
    return ((1 - z) * n + z * state[0],)


def gru_of_torch():
    cell = nn.GRUCell(WIDTH, HIDDEN).double()
    with torch.no_grad():
        cell.weight_hh.copy_(THREE.u)
        cell.weight_ih.copy_(THREE.v)
        cell.bias_ih.copy_(THREE.b)
        cell.bias_hh.zero_()
    return lambda x, state: (cell(x, state[0]),)


def end_of_lstm(i, f, g, o, c):
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def lstm(x, state):
    return end_of_lstm(*(linear(x, FOUR.v, FOUR.b) + linear(state[0], FOUR.u)).chunk(4, -1), state[1])


def lstm_of_both_side_by_side(x, state):
    return end_of_lstm(*linear(torch.cat([x, state[0]], -1), FOUR.both, FOUR.b).chunk(4, -1), state[1])


def lstm_of_four_layers(x, state):
    both = torch.cat([x, state[0]], -1)
    return end_of_lstm(*(linear(both, w, b) for w, b in zip(FOUR.boths, FOUR.bs, strict=True)), state[1])


def lstm_in_place(x, state):
    a = linear(x, FOUR.v, FOUR.b)
    a += state[0] @ FOUR.u.T
    i, f, g, o = a.chunk(4, -1)
    c = state[1] * f.sigmoid()
    c += i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def leaking(x, state):
    return (state[0] + 0.1 * linear(state[0], FOUR.us[0]),)


def leaking_by_one_matrix(x, state):
    return (state[0] @ (torch.eye(HIDDEN, dtype=DOUBLE) + 0.1 * FOUR.us[0]).T,)


WRITTEN = {
    "GRU": (gru, [gru_by_a_difference, gru_by_lerp, gru_block_by_block, gru_by_einsum, gru_of_torch()]),
    "LSTM": (lstm, [lstm_of_both_side_by_side, lstm_of_four_layers, lstm_in_place]),
    "leak": (leaking, [leaking_by_one_matrix]),
    "silu": (
        lambda x, state: (nn.functional.silu(linear(state[0], FOUR.us[0])),),
        [lambda x, state: ((a := linear(state[0], FOUR.us[0])) * torch.sigmoid(a),)],
    ),
}


def account_of(step, parts):
    generator = torch.Generator().manual_seed(1)
    draw = lambda size: torch.randn(ROWS, size, dtype=DOUBLE, generator=generator)
    x, state, gradient = draw(WIDTH), *(tuple(draw(HIDDEN) for _ in range(parts)) for _ in range(2))
    return TracedStep(lambda x, state, helpers: step(x, state), x, state, ()).account(x, state, (), gradient)


@pytest.mark.parametrize("name", WRITTEN)
def test_an_account_does_not_depend_on_how_a_formula_is_written(name):
    first, others = WRITTEN[name]
    parts = 2 if name == "LSTM" else 1
    back, account, kept = account_of(first, parts)
    assert sum(bool(nats.any()) for nats in account.values()) >= (1 if name == "leak" else 3)
    for other in others:
        same = account_of(other, parts)
        torch.testing.assert_close(same[:2], (back, account), rtol=0, atol=1e-12)
        if name != "leak":  # an identity beside a matrix is a way of its own
            torch.testing.assert_close(same[2], kept, rtol=0, atol=1e-12, equal_nan=True)


def test_what_no_input_changes_is_one_matrix():
    """A reflection h − 2 v vᵀ h is orthogonal, also where it is never written down as a matrix."""
    v = nn.Parameter(nn.functional.normalize(torch.arange(1.0, HIDDEN + 1, dtype=DOUBLE), dim=0))
    _, account, _ = account_of(lambda x, state: (state[0] - 2 * (state[0] @ v)[:, None] * v + x.sum(),), 1)
    for nats in account.values():
        torch.testing.assert_close(nats, torch.zeros(ROWS, dtype=DOUBLE), rtol=0, atol=1e-12)


class Written(Cell):
    """A cell of a function."""

    paper = Paper("-", 2026, "written for the tests", "-")

    def __init__(self, input_size, hidden_size, step, names=("h",), like=(DOUBLE,)):
        super().__init__(input_size, hidden_size)
        self.state_names, self.step, self.like = names, step, like
        self.weight = nn.Parameter(torch.eye(hidden_size, dtype=DOUBLE))

    def initial_state(self, x):
        return tuple(x.new_zeros(len(x), self.hidden_size, dtype=dtype) for dtype in self.like)

    def forward(self, x, state):
        return self.step(self, x, state)


def cause_of_step(step, loss=None, **options):
    layer = Recurrent(Written, WIDTH, HIDDEN, engine="reference", step=step, **options)
    x = torch.randn(8, 2, WIDTH, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    (cause,), (curve,) = causes(layer, x, loss).values(), retention(layer, x, loss).values()
    torch.testing.assert_close(sum(cause.parts.values()), curve.gain.log().diff(), rtol=0, atol=1e-11)
    return cause


def open_gate(cell, x, state):
    f = torch.sigmoid(x[:, :1] * 0 + 1.3)
    return (f * state[0] + (1 - f) * torch.tanh(x.sum(-1, keepdim=True)),)


PLANTED = {
    "a rotation": (
        lambda cell, x, state: (state[0] * torch.polar(0.93 * cell.weight[0, :1], cell.weight[1]) + x[:, :1],),
        {"weights": math.log(0.93)}, 0.93, torch.complex128,
    ),
    "a leak": (lambda cell, x, state: (0.95 * state[0] + x[:, :1],), {"constants": math.log(0.95)}, 0.95, DOUBLE),
    "a gate": (open_gate, {"gates": -math.log(1 + math.exp(-1.3))}, 1 / (1 + math.exp(-1.3)), DOUBLE),
    "a factor of each unit": (
        lambda cell, x, state: (torch.relu(50 + 0.9 * cell.weight.diagonal() * state[0]),),
        {"weights": math.log(0.9)}, None, DOUBLE,
    ),
    "an orthogonal matrix": (lambda cell, x, state: (linear(state[0], 0.7 * cell.weight),), {"weights": math.log(0.7)}, None, DOUBLE),
    "a step of an oscillator": (
        lambda cell, x, state: (state[0] + 0.5 * (torch.sigmoid(0 * x[:, :1]) * 0 - 0.5 * state[0]),),
        {"constants": math.log(0.75)}, 0.75, DOUBLE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_planted_is_found(name):
    step, expected, kept, like = PLANTED[name]
    cause = cause_of_step(step, like=(like,))
    for part, nats in cause.parts.items():
        torch.testing.assert_close(nats, torch.full_like(nats, expected.get(part, 0.0)), rtol=0, atol=1e-12)
    assert cause.carried == ({} if kept is None else {"h": pytest.approx(kept)})


def test_what_is_kept_is_said_of_each_part():
    cause = cause_of_step(
        lambda cell, x, state: (state[0] + 0.1 * state[1], 0.75 * state[1] - 0.1 * torch.tanh(state[0]) + x[:, :1]),
        names=("y", "z"),
        like=(DOUBLE, DOUBLE),
    )
    assert cause.carried == pytest.approx({"y": 1.0, "z": 0.75})
    assert cause.words.startswith("A step keeps 1 of y and 0.75 of z. A step back multiplies the gradient by")


class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return h.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient / 2


def hidden(cell, x, state):
    with torch.no_grad():
        gate = torch.sigmoid(state[0])
    return (gate * state[0] + x[:, :1],)


def branching(cell, x, state):
    return (0.9 * state[0] + x[:, :1] if state[0].mean() < 5 else state[0],)


REFUSED = {
    "no_grad": (hidden, "its gradient is not that of what it computes"),
    "a branch": (branching, "it has a branch that depends on its numbers"),
    "a backward of its own": (lambda cell, x, state: (Own.apply(state[0]) + x[:, :1],), ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_apart_is_one_part_and_says_why(name):
    step, why = REFUSED[name]
    cause = cause_of_step(step)
    assert set(cause.parts) == {"step", "loss"}
    assert cause.untaken.startswith(why)
    assert cause.words.endswith(f"The equations of Written are not taken apart: {cause.untaken}.")


def test_a_step_is_traced_once(monkeypatch):
    traced = []
    original = TracedStep.__init__
    monkeypatch.setattr(TracedStep, "__init__", lambda self, *args: traced.append(1) or original(self, *args))
    monkeypatch.setattr("rnnvanish.backward.replay.replay_all.__defaults__", ((), 16))
    cause_of_step(lambda cell, x, state: (0.9 * state[0] + x[:, :1],))
    assert len(traced) == 1
