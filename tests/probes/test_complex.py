"""Complex states against closed forms, and against the loop written again in real coordinates (Re beside Im)."""

import math

import pytest
import torch
from torch import nn
from torch.func import jacrev

from rnnvanish import Recurrent
from rnnvanish.cell import Cell, Paper
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.probes import (
    bypass,
    cases,
    depth,
    jacobian,
    lyapunov,
    resolution,
    retention,
    saturation,
    sensitivity,
    shares,
)

TIME, BATCH, INPUT, HIDDEN = 9, 2, 3, 4


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


class Rotation(Cell):
    """h ← λ h + W x, λ = r e^{iθ}: every singular value of k steps is r^k, every exponent ln r, twice."""

    paper = Paper("-", 2026, "written for the tests", "-")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.radius = nn.Parameter(torch.linspace(0.95, 0.5, hidden_size, dtype=torch.float64))
        self.angle = nn.Parameter(torch.linspace(0.2, 3, hidden_size, dtype=torch.float64))
        self.from_x = nn.Linear(input_size, hidden_size, dtype=torch.float64)

    def initial_state(self, x):
        return (x.new_zeros(len(x), self.hidden_size, dtype=x.dtype.to_complex()),)

    def forward(self, x, state):
        return (torch.polar(self.radius, self.angle) * state[0] + self.from_x(x),)


class Mixed(Rotation):
    """A real part beside a complex one, each of which reads the other; not linear in complex numbers."""

    state_names = ("y", "z")

    def initial_state(self, x):
        return x.new_zeros(len(x), self.hidden_size), *super().initial_state(x)

    def forward(self, x, state):
        y, z = state
        z = super().forward(x, (z,))[0]
        z = torch.polar(torch.relu(z.abs() - 0.1), (z + 0.3 * y).angle())
        return torch.tanh(z.real * y + z.imag), z


def stacked(state):
    return torch.cat([torch.cat([part.real, part.imag], -1) if part.is_complex() else part for part in state], -1)


def apart(cell, whole):
    found = []
    for like in cell.initial_state(torch.zeros(1, 1, dtype=torch.float64)):
        own, whole = whole.split([HIDDEN * (1 + like.is_complex()), len(whole) - HIDDEN * (1 + like.is_complex())])
        found.append(torch.complex(*own.chunk(2)) if like.is_complex() else own)
    return tuple(part[None] for part in found)


def steps_of(cell, x):
    """The states of one sequence, (time, state) in real coordinates, and the Jacobian of each step."""
    state, states, jacobians = cell.initial_state(x[:1]), [], []
    for now in x:
        step = lambda whole, now=now: stacked(cell(now[None], apart(cell, whole)))[0]
        jacobians.append(jacrev(step)(stacked(state)[0]).detach())
        state = cell(now[None], state)
        states.append(stacked(state)[0])
    return states, jacobians


@pytest.fixture(params=[Rotation, Mixed])
def layer(request):
    torch.manual_seed(0)
    return Recurrent(request.param, INPUT, HIDDEN)


@pytest.fixture
def x():
    return torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_products_of_steps(layer, x):
    products = []
    for sequence in x.unbind(1):
        _, steps = steps_of(layer.cells[0], sequence)
        products.append(steps[-1] @ steps[-2] @ steps[-3])
    expected = torch.linalg.svdvals(torch.stack(products))
    same(jacobian(layer, x, lag=3), expected)
    found = cases(layer, x, lags=[3])
    same(found.log_worst[0], expected[:, 0].log())
    same(found.log_typical[0], expected.square().mean(1).sqrt().log())


def test_exponents_add_up_to_the_volume(layer, x):
    """Their sum is the mean of ln |det J|, whatever the basis."""
    steps = [torch.stack(steps_of(layer.cells[0], sequence)[1]) for sequence in x.unbind(1)]
    same(lyapunov(layer, x).sum(1), torch.linalg.slogdet(torch.stack(steps))[1].mean(1))


def test_a_rotation_in_closed_form(x):
    layer = Recurrent(Rotation, INPUT, HIDDEN)
    radius = layer.cells[0].radius.detach()
    same(jacobian(layer, x, lag=5), (radius**5).repeat_interleave(2).expand(BATCH, -1))
    with torch.no_grad():
        layer.cells[0].radius.fill_(0.9)
    same(lyapunov(layer, x), torch.full((BATCH, 2 * HIDDEN), math.log(0.9), dtype=torch.float64))
    (curve,) = retention(layer, x).values()
    same(curve.gain, 0.9 ** torch.arange(TIME, dtype=torch.float64))


def test_a_large_state_without_its_matrix(x):
    torch.manual_seed(0)
    layer = Recurrent(Rotation, INPUT, 150)
    found = cases(layer, x, lags=[4])
    same(found.worst, torch.tensor([0.95**4], dtype=torch.float64))
    assert float(found.error.max()) < 0.05
    exact = layer.cells[0].radius.detach().pow(8).mean().sqrt().log()
    assert float((found.log_typical - exact).abs().max()) < 0.1
    same(jacobian(layer, x, lag=4, count=2)[:, 0], torch.full((BATCH,), 0.95**4, dtype=torch.float64))


class Loop(nn.Module):
    """The same cell in a loop of the user's own."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state, outputs = self.cell.initial_state(x[0]), []
        for now in x:
            state = self.cell(now, state)
            outputs.append(state[0])
        return torch.stack(outputs), state


def end(output):
    return sum(part.real.sum() + part.imag.sum() if part.is_complex() else part.sum() for part in output[1])


def every_step(output):
    return (output[0].real * (2 + (1j * output[0]).real)).cos().sum()


@pytest.mark.parametrize("reads", [None, end, every_step])
@pytest.mark.parametrize("form", [lambda layer: layer, lambda layer: Loop(layer.cells[0])], ids=["layer", "loop"])
def test_gradients(layer, x, reads, form):
    """The definition: a zero is added to each state in real coordinates, and the loss is followed back to it."""
    cell, gains = layer.cells[0], []
    for sequence in x.unbind(1):
        state, zeros, outputs = cell.initial_state(sequence[:1]), [], []
        for now in sequence:
            state = cell(now[None], state)
            zeros.append(torch.zeros_like(stacked(state)[0], requires_grad=True))
            state = apart(cell, stacked(state)[0] + zeros[-1])
            outputs.append(state[0])
        last = torch.cat(outputs)[-1:] if reads is every_step else torch.cat(outputs)
        value = (reads or end)((last, state))
        norms = torch.stack(torch.autograd.grad(value, zeros)).norm(dim=-1).flip(0)
        gains.append((norms / norms[0]).log())
    model = form(layer)
    (curve,) = retention(model, x, loss=reads or (None if model is layer else end), cells=[Cell]).values()
    same(curve.gain, torch.stack(gains).mean(0).exp())


def test_a_long_sequence_runs_compiled(x):
    """Beyond 64 steps a loop hands its gradients out."""
    layer, x = Recurrent(Rotation, INPUT, HIDDEN), x.repeat(8, 30, 1)
    with torch.no_grad():
        layer.cells[0].radius.fill_(0.99)
    (curve,) = retention(layer, x).values()
    same(curve.gain, 0.99 ** torch.arange(len(x), dtype=torch.float64))


def test_single_precision(layer, x):
    """Measured again in double where it does not hold the numbers; parameters of the cell are cast with it."""
    (ours,) = retention(layer, x).values()
    (single,) = retention(layer.float(), x.float()).values()
    torch.testing.assert_close(single.gain, ours.gain, rtol=1e-4, atol=0)


def test_what_a_layer_lets_through(layer, x):
    """Of the gradient by the state, as of that by the weights and by what is read, no imaginary part is dropped."""
    cell = layer.cells[0]
    outer = torch.zeros(TIME, BATCH, INPUT, dtype=torch.float64)
    rates = torch.zeros(TIME, dtype=torch.float64)
    for row, sequence in enumerate(x.unbind(1)):
        sequence = sequence.clone().requires_grad_()
        state = cell.initial_state(sequence[:1])
        for now in sequence:
            state = cell(now[None], state)
        (outer[:, row],) = torch.autograd.grad(end((None, state)), sequence)
    name = "Recurrent/layer0/forward"
    same(sensitivity(layer, x)[name].size, outer.flip(0).square().sum(-1).mean(-1).sqrt())
    same(torch.tensor(depth(layer, x)[name].leaves), outer.norm().float())
    for lag in range(TIME):  # each step has weights of its own
        own = {key: value.detach().clone().requires_grad_() for key, value in cell.named_parameters()}
        state = cell.initial_state(x[0])
        for t, now in enumerate(x):
            state = torch.func.functional_call(cell, own if t == TIME - 1 - lag else {}, (now, state))
        rates[lag] = torch.cat(
            [g.flatten() for g in torch.autograd.grad(end((None, state)), list(own.values()))]
        ).norm()
    same(shares(layer, x)[name].all, rates / rates.sum())
    same(bypass(layer, x)[name].share, torch.zeros(TIME, dtype=torch.float64))
    assert resolution(layer, x)[name].drowned_from["float32"] is None
    (cause,) = causes(layer, x).values()
    (curve,) = retention(layer, x).values()
    assert not cause.note
    same(cause.gain, curve.gain.log().diff())


def test_saturation_has_no_meaning(layer, x):
    with pytest.raises(ValueError, match=r"made of complex numbers.*no lower and no upper limit"):
        saturation(layer, x)
