"""A network with its own ODE step after ODE-RNN: between observations at irregular times an ODE moves the state, at them a gate updates it.

The state is a mean and a deviation. The gates are small networks; the ODE is solved by Euler's steps, as many as the gap needs.
"""

import end_point
import pytest
import torch
from torch import nn

from rnnvanish import diagnose, probes
from rnnvanish.diagnosis.find_faults import find

BATCH, TIMES, FEATURES, LATENT, UNITS = 5, 18, 3, 6, 12


class Update(nn.Module):
    """At an observation: a gated update of mean and deviation; a patient of whom nothing was observed keeps both."""

    def __init__(self):
        super().__init__()
        net = lambda out: nn.Sequential(nn.Linear(2 * LATENT + 2 * FEATURES, UNITS), nn.Tanh(), nn.Linear(UNITS, out))
        self.update, self.reset, self.new = net(LATENT), net(LATENT), net(2 * LATENT)

    def forward(self, mean, deviation, x):
        every = torch.cat([mean, deviation, x], -1)
        keep, reset = self.update(every).sigmoid(), self.reset(every).sigmoid()
        new, spread = self.new(torch.cat([mean * reset, deviation * reset, x], -1)).chunk(2, -1)
        seen = (x[:, FEATURES:].sum(-1, keepdim=True) > 0).double()
        now = (1 - keep) * new + keep * mean, (1 - keep) * spread.abs() + keep * deviation
        return tuple(seen * a + (1 - seen) * b for a, b in zip(now, (mean, deviation), strict=True))


class Flow(nn.Module):
    """Between observations."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Sequential(nn.Linear(LATENT, UNITS), nn.Tanh(), nn.Linear(UNITS, LATENT))

    def forward(self, mean, gap):
        count = max(1, int(gap / 0.04))
        for _ in range(count):
            mean = mean + self.slope(mean) * gap / count
        return mean


class Step(nn.Module):
    """From one observation to the next, as one step."""

    def __init__(self, flow, update):
        super().__init__()
        self.flow, self.update = flow, update

    def forward(self, x, state, gap):
        mean, deviation = state
        return self.update(self.flow(mean, gap), deviation, x)


class Patients(nn.Module):
    """What each observation will be, from those before; or, read backwards, where it all began."""

    def __init__(self, backwards=False, in_one=False, every=True, detached=False):
        super().__init__()
        self.step = Step(Flow(), Update())
        self.head = nn.Linear(2 * LATENT, FEATURES)
        self.backwards, self.in_one, self.every, self.detached = backwards, in_one, every, detached

    def forward(self, x, times):
        return self.through(self.step if self.in_one else self.apart, x, times)[0]

    def apart(self, x, state, gap):
        mean, deviation = (part.data for part in state) if self.detached else state
        return self.step.update(self.step.flow(mean, gap), deviation, x)

    def through(self, step, x, times):
        """A prediction for every time, (batch, times, features), or the last alone, and the states in the order of the loop."""
        state, states = tuple(x.new_zeros(len(x), LATENT) for _ in range(2)), []
        order = range(TIMES)[::-1] if self.backwards else range(TIMES)
        for before, t in zip([order[0], *order], order, strict=False):
            state = step(x[:, t], state, (times[t] - times[before]).abs() + 0.01)
            states.append(state)
        predictions = [self.head(torch.cat(state, -1)) for state in states]
        if not self.every:
            return predictions[-1], states
        return torch.stack(predictions[::-1] if self.backwards else predictions, 1), states


def patients(**options):
    torch.manual_seed(0)
    return Patients(**options).double()


def hospital():
    """Values and which were observed, side by side; one patient has no observation at some times."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(BATCH, TIMES, FEATURES, generator=generator).double()
    there = torch.rand(BATCH, TIMES, FEATURES, generator=generator) < 0.6
    there[1, 5:9] = False
    times = torch.rand(TIMES, generator=generator).double().sort().values
    return torch.cat([values * there, there.double()], -1), times


def by_hand(model, loss):
    """The gain from the prediction that the loop ends with."""
    x, times = hospital()

    def step(x, state, gap):
        mean, deviation = state
        count = max(1, int(gap / 0.04))
        first, _, second = model.step.flow.slope
        for _ in range(count):
            mean = mean + gap / count * ((mean @ first.weight.T + first.bias).tanh() @ second.weight.T + second.bias)
        gates = model.step.update
        run = lambda net, y: (y @ net[0].weight.T + net[0].bias).tanh() @ net[2].weight.T + net[2].bias
        keep, reset = (
            1 / (1 + (-run(net, torch.cat([mean, deviation, x], 1))).exp()) for net in (gates.update, gates.reset)
        )
        new = run(gates.new, torch.cat([mean * reset, deviation * reset, x], 1))
        seen = (x[:, FEATURES:] > 0).any(1, keepdim=True)
        mean = torch.where(seen, new[:, :LATENT] * (1 - keep) + mean * keep, mean)
        deviation = torch.where(seen, new[:, LATENT:].abs() * (1 - keep) + deviation * keep, deviation)
        return mean.clone(), deviation.clone()

    output, states = model.through(step, x, times)
    gradient = end_point.by_output(loss, output)
    if model.every:
        gradient = end_point.only(
            gradient.transpose(0, 1), torch.full((BATCH,), 0 if model.backwards else TIMES - 1)
        ).transpose(0, 1)
    return end_point.gains(output, gradient, states, end_point.whole(states))


KINDS = {
    "ahead": {},
    "its last alone": {"every": False},
    "backwards, to the start": {"backwards": True, "every": False},
    "backwards, in order of time": {"backwards": True},
}


def error(y):
    return y.square().mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_one", [True, False], ids=["one step", "ODE between steps"])
def test_agrees_with_a_loop_by_hand(kind, in_one):
    model = patients(in_one=in_one, **KINDS[kind])
    name = "step" if in_one else "step.update"
    for loss in (None, error):
        curve = probes.retention(model, hospital(), loss, cells=[name])[name]
        torch.testing.assert_close(curve.gain, by_hand(model, loss or torch.sum), rtol=1e-6, atol=0)
        assert curve.verdict == "vanishing"


@pytest.mark.parametrize("name", ["step", "step.update"])
def test_it_forgets_and_nothing_else(name):
    diagnosis = diagnose(patients(in_one=name == "step"), hospital(), error, cells=[name], quick=True)
    assert not diagnosis.findings
    assert not diagnosis.unread
    assert not diagnosis.healthy


class Trajectory(nn.Module):
    """The decoder of a latent ODE: from where it all began nothing but the ODE, whose step has no input."""

    def __init__(self):
        super().__init__()
        self.flow, self.head = Flow(), nn.Linear(LATENT, FEATURES)

    def forward(self, start):
        return self.through(self.flow, start)[0]

    def through(self, step, latent):
        states = []
        for _ in range(TIMES):
            latent = step(latent, 0.5)
            states.append((latent,))
        return torch.stack([self.head(latent) for (latent,) in states], 1), states


def test_of_a_step_without_inputs():
    torch.manual_seed(0)
    model, start = Trajectory().double(), torch.randn(BATCH, LATENT).double()
    first, _, second = model.flow.slope

    def step(y, gap):
        for _ in range(12):
            y = y + gap / 12 * ((y @ first.weight.T + first.bias).tanh() @ second.weight.T + second.bias)
        return y.clone()

    output, states = model.through(step, start)
    gradient = end_point.by_output(error, output)
    alone = end_point.only(gradient.transpose(0, 1), torch.full((BATCH,), TIMES - 1)).transpose(0, 1)
    gain = end_point.gains(output, alone, states, end_point.whole(states))
    diagnosis = diagnose(model, start, error, cells=["flow"], quick=True)
    torch.testing.assert_close(diagnosis.curves["flow"].gain, gain, rtol=1e-6, atol=0)
    assert diagnosis.healthy


def test_a_solver_that_is_given_numbers_alone():
    (finding,) = find(patients(detached=True), hospital(), error, cells=["step.update"])
    assert finding.fault == "detached state"
    assert (finding.layer, finding.before) == ("step.update", 0)
    assert finding.after > 1e-5
