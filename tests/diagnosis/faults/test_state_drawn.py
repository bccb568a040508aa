"""A state that is drawn at every step, and one that is drawn once for each sequence."""

import pytest
import torch
from torch import nn

from rnnvanish.diagnosis.find_faults import find
from rnnvanish.probes import retention

FAULT = "state made anew at every step"


class Steps(nn.Module):
    """A loop whose state is drawn before it, or at every step."""

    def __init__(self, cell, at_every_step, drop=0.0):
        super().__init__()
        self.cell, self.at_every_step, self.head = cell, at_every_step, nn.Linear(6, 1)
        self.drop = nn.Dropout(drop)

    def drawn(self, x):
        parts = [1e-3 * torch.randn(x.shape[1], 6) for _ in range(1 + isinstance(self.cell, nn.LSTMCell))]
        return tuple(parts) if len(parts) > 1 else parts[0]

    def forward(self, x):
        state = self.drawn(x)
        for step in self.drop(x):
            state = self.cell(step, self.drawn(x) if self.at_every_step else state)
        return self.head(state[0] if isinstance(state, tuple) else state)


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTMCell])
def test_it_is_told_once_and_carrying_gives_what_the_loop_has_that_carries(kind):
    torch.manual_seed(0)
    model, x = Steps(kind(2, 6), True), torch.randn(9, 3, 2)
    (finding,) = find(model, x)
    assert (finding.fault, finding.layer, finding.before, finding.question) == (FAULT, "cell", 0, False)
    assert "called 9 times for one step each, and every time it started from a state that is drawn" in finding.seen
    model.at_every_step = False
    ((_, curve),) = retention(model, x).items()
    assert finding.after == pytest.approx(float(curve.gain[-1]), rel=0.01)  # from another state, that is drawn, too


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTMCell])
def test_a_random_state_once_for_each_sequence_is_none(kind):
    torch.manual_seed(0)
    assert find(Steps(kind(2, 6), False, drop=0.5), torch.randn(9, 3, 2)) == ()


class Sequences(nn.Module):
    """Reads some sequences in turn by one cell, each from a state of its own that is drawn."""

    def __init__(self):
        super().__init__()
        self.steps = Steps(nn.GRUCell(2, 6), False)

    def forward(self, *sequences):
        return torch.stack([self.steps(x) for x in sequences]).sum(0)


def test_of_several_sequences_each_may_start_from_its_own():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 2)
    assert find(Sequences(), (x, x + 1, x + 2)) == ()
    (finding,) = find(Sequences(), (x[:1], x[:1] + 1))
    assert (finding.fault, finding.question) == (FAULT, True)


class FromDropped(nn.Module):
    """Its states are another layer's, with dropout: frozen, so that no gradient shows where they come from."""

    def __init__(self):
        super().__init__()
        self.encoder, self.drop, self.mix = nn.GRU(2, 6).requires_grad_(False), nn.Dropout(0.5), nn.GRUCell(2, 6)

    def forward(self, x):
        states = self.drop(self.encoder(x)[0].detach())
        return torch.stack([self.mix(one, state) for one, state in zip(x, states, strict=True)])[-1]


def test_dropout_of_a_state_from_elsewhere_is_none():
    torch.manual_seed(0)
    assert [each.fault for each in find(FromDropped(), torch.randn(5, 3, 2)) if each.fault == FAULT] == []
