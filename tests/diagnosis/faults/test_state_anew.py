"""A state that is made anew at every step, and one cell that is used more than once for good reasons."""

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, diagnose
from rnnvanish.diagnosis.find_faults import find
from rnnvanish.probes import retention

FAULT = "state made anew at every step"


class Steps(nn.Module):
    """A loop that hands its state on, or not."""

    def __init__(self, step, carries=False, learned=False):
        super().__init__()
        self.step, self.carries, self.head = step, carries, nn.Linear(6, 1)
        self.start = nn.Parameter(torch.randn(6)) if learned else None

    def forward(self, x):
        state = None if self.start is None else self.start.expand(x.shape[1], 6)
        for one in x:
            if isinstance(self.step, nn.RNNCellBase):
                new = self.step(one, state)
                output = new[0] if isinstance(new, tuple) else new
            else:
                output, new = self.step(one[None], state)
            state = new if self.carries else state
        return self.head(output).reshape(-1)


@pytest.mark.parametrize(
    ("make", "learned"),
    [
        (lambda: nn.GRUCell(2, 6), False),
        (lambda: nn.GRUCell(2, 6), True),
        (lambda: nn.LSTMCell(2, 6), False),
        (lambda: nn.LSTM(2, 6), False),
        (lambda: Recurrent(cells.GRU, 2, 6), False),
    ],
    ids=["GRUCell", "learned", "LSTMCell", "LSTM", "Recurrent"],
)
def test_it_is_told_once_and_carrying_gives_what_the_loop_has_that_carries(make, learned):
    torch.manual_seed(0)
    step, x = make(), torch.randn(9, 3, 2)
    model = Steps(step, learned=learned)
    (finding,) = find(model, x)
    assert (finding.fault, finding.layer, finding.before, finding.question) == (FAULT, "step", 0, False)
    assert "called 9 times for one step each" in finding.seen
    assert ("from the same state" if learned else "from zeros") in finding.seen
    model.carries = True
    ((_, curve),) = retention(model, x).items()
    assert finding.after == pytest.approx(float(curve.gain[-1]), rel=1e-4)
    assert find(model, x) == ()


def test_such_a_model_is_not_healthy():
    assert not diagnose(Steps(nn.GRUCell(2, 6)), torch.randn(5, 3, 2)).healthy


class Two(nn.Module):
    """Reads each of several sequences by one cell, each from zeros."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(2, 6)

    def forward(self, *sequences):
        ends = []
        for x in sequences:
            h = x.new_zeros(x.shape[1], 6)
            for step in x:
                h = self.cell(step, h)
            ends.append(h)
        return torch.stack(ends).sum(0)


class Gate(nn.Module):
    """Mixes two encodings by a cell, step by step: its state is another layer's."""

    def __init__(self):
        super().__init__()
        self.encoder, self.mix = nn.GRU(2, 6), nn.GRUCell(2, 6)

    def forward(self, x):
        return torch.stack([self.mix(one, state) for one, state in zip(x, self.encoder(x)[0], strict=True)])[-1]


class Agents(nn.Module):
    """A policy of several agents that acts once, from the states it is given."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(2, 6)

    def forward(self, seen, state):
        return torch.stack([self.cell(seen[:, agent], state[:, agent]) for agent in range(seen.shape[1])], 1)


def test_several_sequences_or_states_from_elsewhere_are_no_fault():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 2)
    assert find(Two(), (x, x + 1, x + 2)) == ()
    assert find(Gate(), x) == ()


def test_what_may_be_meant_is_asked():
    (finding,) = find(Agents(), (torch.randn(3, 4, 2), torch.zeros(3, 4, 6)))
    assert finding.question
    (finding,) = find(Two(), (torch.randn(1, 3, 2), torch.randn(1, 3, 2)))
    assert finding.question
