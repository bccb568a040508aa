"""Cells that hand on other than their state: the gradient by a state holds what comes by the output of its own step."""

import math

import pytest
import torch
from all_measures import all_measures, assert_same_measures
from torch import nn

from rnnvanish import Recurrent, mitigations
from rnnvanish.cell import Cell, Paper
from rnnvanish.observe import compiled_loops
from rnnvanish.probes import bypass, jacobian, retention, sensitivity

INPUT, HIDDEN, BATCH = 2, 8, 4
DOUBLE = torch.float64


class Linear(Cell):
    """h ← λ h + B x, y = Re(C h) + D x, with |λ| = 0.93: a linear recurrent unit."""

    paper = Paper("-", 2026, "written for the tests", "-")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.angle = nn.Parameter(torch.linspace(0, 3, hidden_size, dtype=DOUBLE))
        self.from_x, self.skip = (nn.Linear(input_size, size, dtype=DOUBLE) for size in (hidden_size, 3))
        self.read = nn.Parameter(torch.randn(hidden_size, 3, dtype=torch.complex128))

    @property
    def output_size(self):
        return 3

    def initial_state(self, x):
        return (x.new_zeros(len(x), self.hidden_size, dtype=x.dtype.to_complex()),)

    def forward(self, x, state):
        return (0.93 * torch.polar(torch.ones_like(self.angle), self.angle) * state[0] + self.from_x(x),)

    def output(self, x, before, after):
        return (after[0] @ self.read).real + self.skip(x)


class Gated(Cell):
    """c ← f c + (1 − f) W x, y = r tanh(c) + (1 − r) x' with a gate r that reads the old c."""

    paper = Paper("-", 2026, "written for the tests", "-")
    state_names = ("c",)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 4 * hidden_size, dtype=DOUBLE)
        self.v = nn.Parameter(torch.randn(2, hidden_size, dtype=DOUBLE))

    def forward(self, x, state):
        (c,) = state
        w, f, _, _ = self.from_x(x).chunk(4, -1)
        f = torch.sigmoid(f + self.v[0] * c)
        return (f * c + (1 - f) * w,)

    def output(self, x, before, after):
        _, _, r, past = self.from_x(x).chunk(4, -1)
        r = torch.sigmoid(r + self.v[1] * before[0])
        return r * torch.tanh(after[0]) + (1 - r) * past


def draw(cell, time, **options):
    torch.manual_seed(0)
    return Recurrent(cell, INPUT, HIDDEN, **options), torch.randn(time, BATCH, INPUT, dtype=DOUBLE)


def of_last(result):
    return result[0][-1].square().sum() + result[0][-1].sum()


def of_all(result):
    return (result[0].cumsum(0) ** 2).sum()


def of_both(result):
    return result[0][-1].sum() + sum(part.abs().square().sum() for part in [result[1]])


def by_hand(cell, x, loss):
    """Norms of the gradient by every state: a zero is added to each, in real coordinates."""
    state, zeros, outputs = cell.initial_state(x[0]), [], []
    for now in x:
        before, state = state, cell(now, state)
        shape = torch.view_as_real(state[0]).shape if state[0].is_complex() else state[0].shape
        zeros.append(torch.zeros(shape, dtype=DOUBLE, requires_grad=True))
        added = torch.view_as_complex(zeros[-1]) if state[0].is_complex() else zeros[-1]
        state = (state[0] + added,)
        outputs.append(cell.output(now, before, state))
    value = loss((torch.stack(outputs), state[0]))
    return [g.flatten(1).norm(dim=-1) for g in torch.autograd.grad(value, zeros)]


@pytest.mark.parametrize("time", [9, 90])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_linear_unit_keeps_the_powers_of_its_radius(time, engine):
    layer, x = draw(Linear, time, engine=engine)
    for loss in (None, of_last):
        (curve,) = retention(layer, x, loss).values()
        expected = math.log(0.93) * torch.arange(time, dtype=DOUBLE)
        torch.testing.assert_close(curve.gain.log(), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(jacobian(layer, x, lag=5), torch.full((BATCH, 2 * HIDDEN), 0.93**5, dtype=DOUBLE))


@pytest.mark.parametrize("cell", [Linear, Gated])
@pytest.mark.parametrize("loss", [of_last, of_all, of_both])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_gradients_against_a_loop_by_hand(cell, loss, engine, monkeypatch):
    layer, x = draw(cell, 80, engine=engine)
    ran = []
    original = compiled_loops.returned_gradients
    monkeypatch.setattr(
        "rnnvanish.observe.compiled_loops.returned_gradients", lambda run: ran.append(1) or original(run)
    )
    (curve,) = retention(layer, x, loss).values()
    assert bool(ran) == (engine == "auto")
    curve = curve.total or curve
    norms = torch.stack(by_hand(layer.cells[0], x, loss)).flip(0)
    torch.testing.assert_close(curve.gain, (norms / norms[0]).log().mean(1).exp(), rtol=1e-9, atol=1e-12)


def test_compiled_and_step_by_step_measure_the_same():
    layers = [draw(Gated, 80, engine=engine) for engine in ("auto", "reference")]
    ours, theirs = (all_measures(layer, x, loss=of_last) for layer, x in layers)
    assert_same_measures(ours, theirs, rtol=1e-8)


def test_what_an_output_reads_of_the_old_state_is_no_recurrence():
    layer, x = draw(Gated, 9, engine="reference")
    (found,) = bypass(layer, x, of_last).values()
    torch.testing.assert_close(found.share[0], torch.zeros((), dtype=DOUBLE), rtol=0, atol=1e-12)
    assert found.share[1].abs() > 1e-3


@pytest.mark.parametrize(
    "cure", [mitigations.Zoneout(0.0, 0.0), mitigations.Dilated(1), mitigations.SkipThroughTime(1, weight=0.0)]
)
def test_what_is_around_a_cell_hands_its_output_on(cure):
    (plain, x), (other, _) = draw(Gated, 9, engine="reference"), draw(Gated, 9, engine="reference")
    treated = cure(other).eval()
    torch.testing.assert_close(treated(x)[0], plain(x)[0])
    (ours,), (theirs,) = retention(treated, x).values(), retention(plain, x).values()
    torch.testing.assert_close(ours.gain, theirs.gain)


class Fading(Cell):
    """It forgets by the time that has passed, which is no feature."""

    paper = Paper("-", 2026, "written for the tests", "-")
    wants = ("times",)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x, self.from_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)

    def forward(self, x, state, times=None):
        return (torch.tanh(self.from_x(x) + torch.exp(-times) * self.from_h(state[0])),)


def test_of_the_input_only_the_features_count():
    torch.manual_seed(0)
    layer = Recurrent(Fading, 3, 5).double()
    x, times = torch.randn(9, 1, 3).double().requires_grad_(), torch.rand(9, 1).double().cumsum(0)

    class Timed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, times=times)[0][-1]

    (gradient,) = torch.autograd.grad(Timed()(x).sum(), x)
    (found,) = sensitivity(Timed(), x.detach(), lambda y: y.sum()).values()
    norms = gradient[:, 0].norm(dim=-1).flip(0)
    torch.testing.assert_close(found.size.to(norms), norms)
