"""A state that is changed and handed on without its history; and states of two calls that have nothing to do with each other."""

import pytest
import torch
from padded_windows import Windows
from torch import nn

from rnnvanish import Recurrent, cells
from rnnvanish.diagnosis.find_faults import find
from rnnvanish.probes import retention

FAULT = "state handed on by its numbers alone"


def decayed(state):
    with torch.no_grad():
        return 0.9 * state


WAYS = {"detach": lambda state: 0.9 * state.detach(), "no_grad": decayed, "data": lambda state: 0.9 * state.data}


class Steps(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.layer, self.way = nn.GRUCell(2, 6), way

    def forward(self, x):
        h = x.new_zeros(x.shape[1], 6)
        for one in x:
            h = self.layer(one, self.way(h))
        return h


MODELS = {
    "layer": lambda way: Windows(nn.GRU(2, 6), way),
    "Recurrent": lambda way: Windows(Recurrent(cells.GRU, 2, 6), way),
    "cell": Steps,
}


@pytest.mark.parametrize(
    ("kind", "way"), [("layer", "detach"), ("layer", "data"), ("Recurrent", "no_grad"), ("cell", "no_grad")]
)
def test_it_is_named_and_with_its_history_the_whole_loop_arrives(kind, way):
    torch.manual_seed(0)
    model, x = MODELS[kind](WAYS[way]), torch.randn(8, 3, 2)
    (finding,) = find(model, x)
    assert (finding.fault, finding.layer, finding.before, finding.question) == (FAULT, "layer", 0, False)
    model.way = lambda state: 0.9 * state
    (curve,) = retention(model, x).values()
    assert finding.after == pytest.approx(float(curve.gain[-1]), rel=1e-4)
    assert find(model, x) == ()


def test_long_windows_are_asked_about_and_windows_longer_than_the_lag_are_right():
    torch.manual_seed(0)
    (finding,) = [
        each for each in find(Windows(nn.GRU(2, 6), decayed, 100), torch.randn(200, 1, 2)) if each.fault == FAULT
    ]
    assert finding.question
    model, x = Windows(nn.GRU(2, 6), decayed), torch.randn(8, 3, 2)
    assert find(model, x, lag=3) == ()
    assert FAULT in [each.fault for each in find(model, x, lag=4)]


class Twice(nn.Module):
    """Reads two sequences, the second from nothing, or from what a bridge makes of the first for more rows."""

    def __init__(self, bridge):
        super().__init__()
        self.layer, self.bridge = nn.GRU(2, 6), nn.Linear(6, 6) if bridge else None

    def forward(self, x):
        output, state = self.layer(x)
        if self.bridge is None:
            return output[-1] + self.layer(x.flip(0))[0][-1]
        return self.layer(torch.cat([x, x], 1), self.bridge(state).repeat(1, 2, 1))[0][-1]


@pytest.mark.parametrize("bridge", [False, True])
def test_two_calls_that_are_apart_or_have_a_gradient_are_right(bridge):
    torch.manual_seed(0)
    assert find(Twice(bridge), torch.randn(6, 3, 2)) == ()
