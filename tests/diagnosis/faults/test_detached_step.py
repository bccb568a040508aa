"""A step that leaves the history of its state behind; and steps through which nothing passes for other reasons."""

import pytest
import torch
from torch import nn

from rnnvanish.diagnosis.find_faults import find
from rnnvanish.probes import retention

FAULT = "detached within the step"


class Step(nn.Module):
    def __init__(self, reads):
        super().__init__()
        self.linear, self.reads = nn.Linear(8, 6), reads

    def forward(self, x, h):
        return torch.tanh(self.linear(torch.cat([x, self.reads(h)], -1)))


class Loop(nn.Module):
    def __init__(self, reads):
        super().__init__()
        self.step = Step(reads)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], 6)
        for one in x:
            h = self.step(one, h)
        return h


def without_gradients(h):
    with torch.no_grad():
        return h * 1


def straight_through(h):
    return h + (h.round(decimals=1) - h).detach()


CUTS = {"detach": lambda h: h.detach(), "data": lambda h: h.data, "no_grad": without_gradients}


def found(model, x):
    return [finding for finding in find(model, x, cells=[Step]) if finding.fault == FAULT]


@pytest.mark.parametrize("reads", CUTS.values(), ids=CUTS)
def test_it_is_named_and_the_history_kept_gives_what_the_loop_has(reads):
    torch.manual_seed(0)
    model, x = Loop(reads), torch.randn(5, 3, 2)
    (finding,) = found(model, x)
    assert (finding.layer, finding.before, finding.question) == ("step", 0, False)
    model.step.reads = lambda h: h
    (curve,) = retention(model, x, cells=[Step]).values()
    assert finding.after == pytest.approx(float(curve.gain[-1]), rel=1e-4)
    assert found(model, x) == []


def test_rounding_stops_it_and_straight_through_does_not():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 2)
    (finding,) = found(Loop(lambda h: h.round(decimals=1)), x)
    assert finding.after > 0
    assert found(Loop(straight_through), x) == []


def test_a_state_that_is_not_read_or_saturates_is_not_detached():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 2)
    assert found(Loop(lambda h: 0 * h), x) == []
    model = Loop(lambda h: h)
    nn.init.constant_(model.step.linear.bias, 60.0)
    assert found(model, x) == []
