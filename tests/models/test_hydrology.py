"""Rainfall and runoff after NeuralHydrology's EmbCudaLSTM: embedded attributes of a basin beside its weather, one LSTM, open forget gates.

It takes a dictionary and returns one, with the discharge of every day; the loss reads the last days, where they were gauged.
"""

import end_point
import pytest
import torch
from torch import nn

from rnnvanish import diagnose, probes
from rnnvanish.diagnosis.find_faults import find

BASINS, DAYS, READ, WEATHER, ATTRIBUTES, HIDDEN = 5, 40, 8, 3, 4, 12
NAME = "lstm/layer0/forward"


class Basins(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Sequential(nn.Linear(ATTRIBUTES, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh())
        self.lstm = nn.LSTM(WEATHER + 5, HIDDEN)
        self.dropout, self.head = nn.Dropout(0.4), nn.Linear(HIDDEN, 1)
        with torch.no_grad():
            self.lstm.bias_hh_l0[HIDDEN : 2 * HIDDEN] = 3.0

    def forward(self, data):
        output, (h, c) = self.lstm(self.together(data))
        output = output.transpose(0, 1)
        return {
            "lstm_output": output,
            "h_n": h.transpose(0, 1),
            "c_n": c.transpose(0, 1),
            "y_hat": self.discharge(output),
        }

    def together(self, data):
        """Weather and attributes of every day, (days, basins, features)."""
        weather = data["x_d"].transpose(0, 1)
        return torch.cat([weather, self.embedding(data["x_s"]).expand(DAYS, -1, -1)], -1)

    def discharge(self, output):
        return self.head(self.dropout(output))


def basins():
    torch.manual_seed(0)
    return Basins().double().eval()


def records(ungauged=(), seed=0):
    """Standardised weather, and the discharge; `ungauged` has slices of (basins, days) in which it is missing."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator).double()
    weather, attributes, discharge = draw(BASINS, DAYS, WEATHER), draw(BASINS, ATTRIBUTES), draw(BASINS, DAYS, 1).abs()
    for where in ungauged:
        discharge[where] = torch.nan
    return {"x_d": weather, "x_s": attributes, "y": discharge, "std": draw(BASINS, 1).abs() + 0.5}


def efficiency(prediction, data):
    """The Nash-Sutcliffe loss of the last days, each basin weighted by its variance; days without a gauge are left out."""
    seen, there = data["y"][:, -READ:], ~data["y"][:, -READ:].isnan()
    weight = (1 / (data["std"] + 0.1) ** 2)[:, None].expand_as(seen)
    return (weight[there] * (prediction["y_hat"][:, -READ:][there] - seen[there]) ** 2).mean()


def by_hand(model, data, loss, last=None):
    """The gain from the discharge of each basin's last day that is read, taken back through a loop written again."""
    x = model.together(data)
    states = end_point.run(end_point.step_of(model.lstm), x, (x.new_zeros(BASINS, HIDDEN), x.new_zeros(BASINS, HIDDEN)))
    output = end_point.outputs(states).transpose(0, 1)
    discharge = model.discharge(output)
    last = torch.full((BASINS,), DAYS - 1) if last is None else last
    gradient = end_point.by_output(lambda y: loss({"y_hat": y}, data), discharge)
    gradient = end_point.only(gradient.transpose(0, 1), last.clamp(min=0)).transpose(0, 1)
    read = [(row, 0, day) for row, day in enumerate(last.tolist()) if day >= 0]
    return end_point.gains(discharge, gradient, states, read)


def close(curve, gain):
    torch.testing.assert_close(curve.gain, gain, rtol=1e-6, atol=0)
    assert curve.verdict == "healthy"


LOSSES = {
    "its own loss": efficiency,
    "all days": lambda prediction, data: prediction["y_hat"].square().mean(),
    "flattened rows": lambda prediction, data: prediction["y_hat"].flatten().square().mean(),
    "the last day": lambda prediction, data: prediction["y_hat"][:, -1].square().mean(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_agrees_with_a_loop_by_hand(name):
    model, data = basins(), records()
    close(probes.retention(model, data, LOSSES[name])[NAME], by_hand(model, data, LOSSES[name]))


def test_it_is_sound():
    diagnosis = diagnose(basins(), records(), efficiency, quick=True)
    assert diagnosis.healthy
    assert not diagnosis.findings
    assert "8 steps" in diagnosis.curves[NAME].start


def test_basins_end_where_their_gauge_did():
    model, data = basins(), records(ungauged=[(0, slice(36, None)), (2, slice(34, 39)), (3, slice(None))])
    last = torch.tensor([35, 39, 39, -1, 39])
    close(probes.retention(model, data, efficiency)[NAME], by_hand(model, data, efficiency, last))
    assert not find(model, data, efficiency)


def test_of_all_that_it_returns_by_default():
    """Output, discharge and final states, summed: all of the last day."""
    model, data = basins(), records()
    x = model.together(data)
    states = end_point.run(end_point.step_of(model.lstm), x, (x.new_zeros(BASINS, HIDDEN), x.new_zeros(BASINS, HIDDEN)))
    h, c = states[-1]
    value = h.sum() + h.sum() + c.sum() + model.discharge(h).sum()
    gain = end_point.gains(value, torch.ones_like(value), states, end_point.whole(states))
    close(probes.retention(model, data)[NAME], gain)


def test_weather_that_was_not_standardised():
    data = records()
    data["x_d"][..., 2] = data["x_d"][..., 2] * 1000 + 101_300  # the pressure of the air in pascal
    (finding,) = find(basins(), data, efficiency)
    assert (finding.fault, finding.layer) == ("saturated input", NAME)
    assert "feature 2 of 8" in finding.seen
    assert finding.before > 0.9
    assert finding.after < 0.05
