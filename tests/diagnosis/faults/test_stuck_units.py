"""Rectifiers that never start and units that never leave their limit; and networks whose activity is only sparse."""

import pytest
import torch
from torch import nn

from rnnvanish.diagnosis.find_faults import find


def inputs(features=3):
    torch.manual_seed(0)
    return torch.randn(20, 6, features)


def biased(layer, value, rows=slice(None)):
    layer.bias_ih_l0.data[rows] = value
    return layer


@pytest.mark.parametrize("part", [16, 10])
def test_dead_rectifiers_are_named(part):
    (finding,) = find(biased(nn.RNN(3, 16, nonlinearity="relu"), -20.0, slice(part)), inputs())
    assert finding.fault == "dead units"
    assert f"{100 * part / 16:.0f} % of the units stand at 0" in finding.seen
    assert "mainly by the biases" in finding.seen
    assert (finding.before, finding.after) == (part / 16, 0.0)


@pytest.mark.parametrize(
    "layer", [lambda: biased(nn.RNN(3, 16), 12.0), lambda: biased(nn.GRU(3, 16), -12.0, slice(32, 48))]
)
def test_units_at_their_limit_are_named(layer):
    (finding,) = find(layer(), inputs())
    assert finding.fault == "stuck units"
    assert finding.before == 1
    assert finding.after == 0


def test_recurrent_weights_that_hold_units_at_their_limit_are_the_cause():
    layer = nn.RNN(3, 16)
    layer.weight_hh_l0.data = 9 * torch.eye(16)
    start = torch.ones(1, 6, 16)
    (finding,) = [each for each in find(layer, (inputs(), start)) if each.fault == "stuck units"]
    assert "mainly by the recurrent weights" in finding.seen
    assert "mitigations.OrthogonalStart(gain=1.0)(model)" in finding.remedy
    assert finding.after < finding.before


class Own(nn.Module):
    """A step of the user's own."""

    def __init__(self, bias):
        super().__init__()
        self.read, self.keep = nn.Linear(3, 16), nn.Linear(16, 16, bias=False)
        nn.init.constant_(self.read.bias, bias)

    def forward(self, x, h):
        return (self.read(x) + self.keep(h)).relu()


class Loop(nn.Module):
    def __init__(self, bias):
        super().__init__()
        torch.manual_seed(0)
        self.step = Own(bias)
        self.head = nn.Linear(19, 1)

    def forward(self, x):
        h = x.new_zeros(6, 16)
        for now in x:
            h = self.step(now, h)
        return self.head(torch.cat([h, x[-1]], -1))


def test_of_a_step_of_ones_own_states_of_zero_are_named():
    found = {each.fault: each for each in find(Loop(-20.0), inputs(), cells=["step"])}
    assert (found["dead units"].before, found["dead units"].after) == (1.0, 0.0)
    assert "dead units" not in [each.fault for each in find(Loop(-0.5), inputs(), cells=["step"])]


def identity(features):
    layer = nn.RNN(features, 16, nonlinearity="relu")
    nn.init.eye_(layer.weight_hh_l0)
    nn.init.zeros_(layer.bias_ih_l0)
    nn.init.zeros_(layer.bias_hh_l0)
    return layer


NEAR = {
    "identity, positive input": lambda: (identity(1), torch.rand(20, 6, 1) + 0.5),
    "identity": lambda: (identity(3), inputs()),
    "sparse": lambda: (biased(nn.RNN(3, 16, nonlinearity="relu"), -1.0), inputs()),
    "open gates": lambda: (biased(nn.LSTM(3, 16), 12.0, slice(16, 32)), inputs()),
    "a third": lambda: (biased(nn.RNN(3, 18, nonlinearity="relu"), -20.0, slice(6)), inputs()),
}


@pytest.mark.parametrize("name", NEAR)
def test_units_that_still_answer_are_no_fault(name):
    torch.manual_seed(0)
    model, x = NEAR[name]()
    assert not [each for each in find(model, x) if each.fault in ("dead units", "stuck units")]
