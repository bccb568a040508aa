"""A forecaster with probability output after DeepAR: an LSTM called day by day with the state that it returned, and a normal distribution.

The mean and the deviation are read from the hidden states of all layers together, and a deviation is made positive by a softplus.
"""

import end_point
import pytest
import torch
from torch import nn
from torch.distributions import Normal
from torch.nn.functional import softplus

from rnnvanish import diagnose, probes
from rnnvanish.diagnosis.find_faults import find

SERIES, DAYS, KNOWN, HIDDEN, LAYERS = 4, 24, 2, 10, 2
NAMES = [f"lstm/layer{layer}/forward" for layer in range(LAYERS)]


class Forecaster(nn.Module):
    def __init__(self, returns=Normal, forgets=False):
        super().__init__()
        self.embedding = nn.Embedding(SERIES, 3)
        self.lstm = nn.LSTM(1 + KNOWN + 3, HIDDEN, LAYERS)
        self.mean, self.deviation = nn.Linear(HIDDEN * LAYERS, 1), nn.Linear(HIDDEN * LAYERS, 1)
        self.returns, self.forgets = returns, forgets
        with torch.no_grad():
            for layer in range(LAYERS):
                getattr(self.lstm, f"bias_ih_l{layer}")[HIDDEN : 2 * HIDDEN] = 1.0

    def forward(self, values, known, series):
        """Values of the day before and what is known of each day, (days, series, numbers)."""
        state, hidden = self.first(values), []
        for x in self.together(values, known, series):
            if self.forgets:
                state = self.first(values)
            _, state = self.lstm(x[None], state)
            hidden.append(state[0])
        return self.returns(*self.read(torch.stack(hidden)))

    def first(self, values):
        return tuple(values.new_zeros(LAYERS, values.shape[1], HIDDEN) for _ in range(2))

    def together(self, values, known, series):
        return torch.cat([values, known, self.embedding(series).expand(len(values), -1, -1)], -1)

    def read(self, hidden):
        """Mean and deviation, (series, days), from (days, layers, series, hidden)."""
        rows = hidden.permute(2, 0, 3, 1).flatten(2)
        return self.mean(rows)[..., 0], softplus(self.deviation(rows)[..., 0])


def forecaster(**options):
    torch.manual_seed(0)
    return Forecaster(**options).double()


def sales(missing=()):
    """Values of the day before, what is known of each day, which series, and the value of the day; 0 where it is missing."""
    generator = torch.Generator().manual_seed(0)
    walk = torch.randn(DAYS + 1, SERIES, 1, generator=generator).double().cumsum(0) / 4
    known = torch.randn(DAYS, SERIES, KNOWN, generator=generator).double()
    target = walk[1:, :, 0].T.clone()
    for where in missing:
        target[where] = 0.0
    return walk[:-1], known, torch.arange(SERIES), target


def surprise(forecast, batch):
    """The likelihood of every day that is not missing, as DeepAR has it."""
    target = batch[-1]
    forecast = Normal(*forecast) if isinstance(forecast, tuple) else forecast
    return -forecast.log_prob(target)[target != 0].mean()


def by_hand(model, batch, loss, last=None):
    """The gain of each layer from the distribution of each series' last day that the loss reads."""
    *inputs, _ = batch
    x = model.together(*inputs)
    loops, output = [], x
    for layer in range(LAYERS):
        states = end_point.run(end_point.step_of(model.lstm, f"_l{layer}"), output, tuple(p[0] for p in model.first(x)))
        output = end_point.outputs(states)
        loops.append(states)
    forecast = torch.stack(model.read(torch.stack([end_point.outputs(states) for states in loops], 1)))
    gradient = end_point.by_output(lambda both: loss(tuple(both), batch), forecast)
    last = torch.full((SERIES,), DAYS - 1) if last is None else last
    gradient = end_point.only(gradient.movedim(-1, 0).transpose(1, 2), last).transpose(1, 2).movedim(0, -1)
    rows = [(row, 0, day) for row, day in enumerate(last.tolist())]
    return {name: end_point.gains(forecast, gradient, states, rows) for name, states in zip(NAMES, loops, strict=True)}


def check(curves, expected):
    assert list(curves) == NAMES
    for name, gain in expected.items():
        torch.testing.assert_close(curves[name].gain, gain, rtol=1e-6, atol=0)
        assert curves[name].verdict == "healthy"


RETURNS = {"a distribution": Normal, "a mean and a deviation": lambda *both: both}


@pytest.mark.parametrize("kind", RETURNS)
def test_agrees_with_a_loop_by_hand(kind):
    model, batch = forecaster(returns=RETURNS[kind]), sales()
    check(probes.retention(model, batch, surprise), by_hand(model, batch, surprise))


@pytest.mark.parametrize("kind", RETURNS)
def test_series_end_at_their_last_value(kind):
    missing = [(0, slice(20, None)), (2, slice(5, 9)), (3, slice(22, None))]
    model, batch = forecaster(returns=RETURNS[kind]), sales(missing)
    check(probes.retention(model, batch, surprise), by_hand(model, batch, surprise, torch.tensor([19, 23, 23, 21])))


def test_of_what_it_returns_by_default():
    model, batch = forecaster(returns=RETURNS["a mean and a deviation"]), sales()
    check(probes.retention(model, batch), by_hand(model, batch, lambda both, batch: both[0].sum() + both[1].sum()))


def test_it_is_sound():
    diagnosis = diagnose(forecaster(), sales(missing=[(0, slice(20, None))]), surprise, quick=True)
    assert diagnosis.healthy
    assert not diagnosis.findings


def test_a_state_made_anew_every_day():
    (finding,) = find(forecaster(forgets=True), sales(), surprise)
    assert finding.fault == "state made anew at every step"
    assert finding.before == 0
    assert finding.after > 1e-3
