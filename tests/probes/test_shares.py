"""Lag shares: the oracle unties the weights, a copy for each step, and lets autograd find every copy's gradient."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import mitigations
from rnnvanish.diagnosis.examine import examine
from rnnvanish.probes.shares import shares

NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def step(kind, x, state, w, u, b, c):
    """Torch's documentation, written again."""
    h = state[0]
    a, d = w @ x + b, u @ h + c
    size = len(h)
    if kind == "RNN":
        return (torch.tanh(a + d),)
    if kind == "GRU":
        r, z = torch.sigmoid((a + d)[:size]), torch.sigmoid((a + d)[size : 2 * size])
        return ((1 - z) * torch.tanh(a[2 * size :] + r * d[2 * size :]) + z * h,)
    i, f, g, o = (a + d).split(size)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def untied(module, kind, x, lengths):
    """Norms of the gradients of the copies, (weights, lags), sequences aligned at their own ends."""
    longest = max(lengths)
    sums = [[torch.zeros_like(getattr(module, name)) for _ in range(longest)] for name in NAMES]
    for sequence, length in enumerate(lengths):
        state = tuple(torch.zeros(module.hidden_size).double() for _ in range(2 if kind == "LSTM" else 1))
        copies = []
        for t in range(length):
            copies.append([getattr(module, name).detach().clone().requires_grad_() for name in NAMES])
            state = step(kind, x[t, sequence], state, *copies[-1])
        flat = [copy for copies_of_step in copies for copy in copies_of_step]
        found = torch.autograd.grad(sum(part.sum() for part in state), flat)
        for t in range(length):
            for place in range(4):
                sums[place][length - 1 - t] += found[4 * t + place]
    return [torch.stack([addition.norm() for addition in additions]) for additions in sums]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_against_untied_weights(kind):
    torch.manual_seed(0)
    module = getattr(nn, kind)(2, 4).double()
    x, lengths = torch.randn(11, 3, 2).double(), [11, 7, 2]
    (found,) = shares(module, pack_padded_sequence(x, torch.tensor(lengths))).values()
    norms = untied(module, kind, x, lengths)
    for name, size in zip(NAMES, norms, strict=True):
        torch.testing.assert_close(found.by_weight[name], size / size.sum(), rtol=0, atol=1e-11)
    together = torch.stack(norms).square().sum(0).sqrt()
    torch.testing.assert_close(found.all, together / together.sum(), rtol=0, atol=1e-11)


def test_shares_of_a_linear_network_by_hand():
    """h ← 0.5 h + x from h = 1, x = 0: step T−k adds 0.5^k h_{T−k−1} to dh_T/dw, the same 0.5^(T−1) at every lag."""
    module = nn.RNN(1, 1, nonlinearity="relu").double()
    with torch.no_grad():
        for weight, value in zip(module.parameters(), (1.0, 0.5, 0.0, 0.0), strict=True):
            weight.fill_(value)
    (found,) = shares(module, (torch.zeros(8, 1, 1).double(), torch.ones(1, 1, 1).double())).values()
    torch.testing.assert_close(found.by_weight["weight_hh_l0"], torch.full((8,), 1 / 8).double())
    torch.testing.assert_close(found.by_weight["bias_hh_l0"], 0.5 ** torch.arange(8).double() / (2 - 0.5**7))
    assert found.steps(0.74, "bias_hh_l0") == 2  # (1 + 1/2) of 1.9922
    assert found.steps(0.76, "bias_hh_l0") == 3
    assert found.steps(1.0, "weight_hh_l0") == 8
    assert "weight_ih_l0" not in found.by_weight  # nothing was read: its gradient is zero
    with pytest.raises(ValueError, match=r"has the weights weight_hh_l0, .* got 'w'"):
        found.steps(0.5, "w")
    with pytest.raises(ValueError, match="from 0 to 1 is needed, got 0"):
        found.steps(0.0)


def test_each_layer_has_its_own_weights_under_the_users_names():
    torch.manual_seed(0)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = mitigations.Zoneout()(nn.GRU(2, 3, num_layers=2)).eval()
            self.head = nn.Linear(3, 1)

        def forward(self, x):
            return self.head(self.rnn(x)[0][-1])

    found = shares(Model().double().eval(), torch.randn(6, 2, 2).double())
    assert set(found["rnn/layer1/forward"].by_weight) == {
        f"cells.1.cell.{name}" for name in ("from_x.weight", "from_x.bias", "from_h.weight", "from_h.bias")
    }
    assert all(share.sum().item() == pytest.approx(1) for share in found["rnn/layer0/forward"].by_weight.values())


def test_frozen_weights_have_no_shares_and_no_number_stands_for_them():
    module = nn.LSTM(2, 3).requires_grad_(False)
    with pytest.raises(ValueError, match="those of LSTM/layer0/forward are frozen"):
        shares(module, torch.randn(5, 2, 2))
    assert examine(module, torch.randn(5, 2, 2))["LSTM/layer0/forward"].measures["shares"] is None
