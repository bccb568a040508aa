"""Past the recurrence: the oracle cuts what attention reads off the graph, and what is left took the recurrence."""

import pytest
import torch
from torch import nn

from rnnvanish.probes.bypass import bypass


class Attentive(nn.Module):
    """Reads the last state and, by attention, all earlier ones."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(2, 4)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.read(states[-1], states[:-1])

    def read(self, last, earlier):
        weights = (earlier * last).sum(-1, keepdim=True).softmax(0)
        return self.head(torch.cat([last, (weights * earlier).sum(0)], dim=-1)).tanh()


def by_hand(model, x, cut):
    """Gradient of every state, over a loop of torch's GRUCell; with the earlier states cut off where they are read."""
    cell = nn.GRUCell(2, 4).double()
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in model.rnn.state_dict().items()})
    h, states = torch.zeros(x.shape[1], 4).double(), []
    for now in x:
        h = cell(now, h)
        h.retain_grad()
        states.append(h)
    earlier = torch.stack(states[:-1])
    model.read(states[-1], earlier.detach() if cut else earlier).sum().backward()
    return torch.stack([state.grad for state in states]).flip(0)


def test_attention_leads_past_the_recurrence():
    torch.manual_seed(0)
    model, x = Attentive().double(), torch.randn(12, 3, 2).double()
    whole, alone = by_hand(model, x, cut=False), by_hand(model, x, cut=True)
    (found,) = bypass(model, x).values()
    first = whole[0].norm()
    torch.testing.assert_close(found.total, whole.flatten(1).norm(dim=1) / first, rtol=0, atol=1e-11)
    torch.testing.assert_close(found.recurrent, alone.flatten(1).norm(dim=1) / first, rtol=0, atol=1e-11)
    share = 1 - (whole * alone).sum((1, 2)) / whole.square().sum((1, 2))
    torch.testing.assert_close(found.share, share, rtol=0, atol=1e-11)
    assert found.share[-1] > 0.5 > found.share[0]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_where_the_end_alone_is_read_nothing_leads_past_it(kind):
    torch.manual_seed(0)
    module = getattr(nn, kind)(2, 4).double()
    (found,) = bypass(module, torch.randn(9, 2, 2).double()).values()
    assert found.share.abs().max() < 1e-12
    torch.testing.assert_close(found.total, found.recurrent)


def test_lags_are_counted_from_the_last_state_that_is_read():
    torch.manual_seed(0)
    model, x = Attentive().double(), torch.randn(12, 3, 2).double()
    (short,) = bypass(model, x[:9]).values()
    model.read = lambda last, earlier: Attentive.read(model, earlier[8], earlier[:8])  # of ten steps the ninth
    (found,) = bypass(model, x[:10], torch.sum).values()
    for name in ("total", "recurrent", "share"):
        torch.testing.assert_close(getattr(found, name), getattr(short, name), rtol=0, atol=1e-11)
