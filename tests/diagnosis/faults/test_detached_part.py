"""One part of an LSTM's state detached is a question; all of it, or none, is not that."""

import pytest
import torch
from torch import nn

from rnnvanish.diagnosis.find_faults import find
from rnnvanish.probes import retention

FAULT = "part of the state detached"


class Steps(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.cell, self.way = nn.LSTMCell(2, 6), way

    def forward(self, x):
        h = c = x.new_zeros(x.shape[1], 6)
        for one in x:
            h, c = self.cell(one, self.way(h, c))
        return h


class Windows(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.cell, self.way = nn.LSTM(2, 6), way

    def forward(self, x):
        state = None
        for window in x.split(3):
            output, state = self.cell(window, None if state is None else self.way(*state))
        return output[-1]


def found(model, x):
    return [finding for finding in find(model, x) if finding.fault == FAULT]


@pytest.mark.parametrize("make", [Steps, Windows])
@pytest.mark.parametrize("part", ["h", "c"])
def test_the_part_is_named_and_attached_the_whole_arrives(make, part):
    torch.manual_seed(0)
    model = make(lambda h, c: (h.detach() if part == "h" else h, c.detach() if part == "c" else c))
    x = torch.randn(9, 3, 2)
    (finding,) = found(model, x)
    assert finding.question
    assert f"is given {part} as" in finding.seen
    model.way = lambda h, c: (h, c)
    (curve,) = retention(model, x).values()
    assert finding.after == pytest.approx(float(curve.gain[-1]), rel=1e-3)
    assert finding.before != pytest.approx(finding.after, rel=1e-2)
    assert found(model, x) == []


def test_a_mask_or_a_whole_state_that_is_detached_is_not_that():
    torch.manual_seed(0)
    x = torch.randn(6, 3, 2)
    assert found(Steps(lambda h, c: (0.5 * h, 0.5 * c)), x) == []
    assert found(Steps(lambda h, c: (h.detach(), c.detach())), x) == []
