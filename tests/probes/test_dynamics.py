"""Jacobians and Lyapunov exponents: finite differences, closed forms and the sum rule."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import Recurrent, cells
from rnnvanish.probes import jacobian, lyapunov


def permuted(scale, size=6):
    """A ReLU network kept in its linear range by a scaled permutation."""
    module = nn.RNN(1, size, nonlinearity="relu").double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(scale * torch.eye(size)[torch.randperm(size)])
        module.bias_ih_l0.fill_(100.0)
    return module


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_jacobian_by_finite_differences(kind):
    """Nudge each number of the state, run on, compare: torch's own fused run is the oracle."""
    torch.manual_seed(0)
    module = getattr(nn, kind)(2, 3).double()
    x, lag, nudge = torch.randn(9, 1, 2).double(), 4, 1e-6
    _, before = module(x[: 9 - lag])
    parts = before if isinstance(before, tuple) else (before,)
    flat = torch.cat(parts, dim=-1).flatten()

    def end(state):
        state = tuple(part.view(1, 1, 3) for part in state.split(3))
        _, after = module(x[9 - lag :], state if kind == "LSTM" else state[0])
        return torch.cat(after if kind == "LSTM" else (after,), dim=-1).flatten().detach()

    columns = [
        (end(flat + nudge * unit) - end(flat - nudge * unit)) / (2 * nudge) for unit in torch.eye(len(flat)).double()
    ]
    expected = torch.linalg.svdvals(torch.stack(columns, dim=1))
    torch.testing.assert_close(jacobian(module, x, lag)[0], expected, rtol=1e-6, atol=1e-9)


def test_jacobian_of_a_scaled_permutation_and_of_no_steps():
    torch.manual_seed(0)
    values = jacobian(permuted(0.9), torch.zeros(12, 2, 1).double(), lag=10)
    torch.testing.assert_close(values, torch.full((2, 6), 0.9**10).double())
    assert torch.equal(jacobian(permuted(0.9), torch.zeros(3, 2, 1).double(), lag=0), torch.ones(2, 6).double())


def test_each_sequence_ends_at_its_own_end():
    torch.manual_seed(0)
    module, x = nn.LSTM(2, 3).double(), torch.randn(8, 2, 2).double()
    packed = pack_padded_sequence(x, torch.tensor([8, 5]))
    for probe in (lambda *arguments: jacobian(*arguments, lag=3), lyapunov):
        both = probe(module, packed)
        torch.testing.assert_close(both[0], probe(module, x[:, :1])[0])
        torch.testing.assert_close(both[1], probe(module, x[:5, 1:])[0])


def test_lyapunov_exponents_of_a_scaled_permutation():
    torch.manual_seed(0)
    exponents = lyapunov(permuted(0.8), torch.zeros(15, 2, 1).double())
    torch.testing.assert_close(exponents, torch.full((2, 6), math.log(0.8)).double())


def test_the_exponents_of_a_tanh_network_add_up_to_its_mean_volume_change():
    torch.manual_seed(0)
    module, x = nn.RNN(2, 5).double(), torch.randn(40, 3, 2).double()
    h = module(x)[0].detach()
    volume = torch.linalg.slogdet(module.weight_hh_l0).logabsdet + (1 - h.square()).log().sum(-1).mean(0)
    torch.testing.assert_close(lyapunov(module, x).sum(-1), volume.detach())


def test_the_leading_exponent_is_the_growth_of_a_small_difference():
    """The sum rule would not notice Jacobians in the wrong order; a difference carried forward does."""
    torch.manual_seed(0)
    module = nn.RNN(1, 3).double()
    with torch.no_grad():
        module.weight_hh_l0.mul_(4)
    x = torch.tensor([0.0, 3.0, -1.0]).double().repeat(40)[:, None, None]  # each step another Jacobian
    difference = torch.randn(1, 1, 3).double()
    h, growth = torch.zeros(1, 1, 3).double(), 0.0
    for now in x:
        difference = 1e-7 * difference / difference.norm()
        nudged, h = module(now[None], h + difference)[1], module(now[None], h)[1]
        growth += math.log((nudged - h).norm().item() / 1e-7)
        difference = nudged - h
    assert lyapunov(module, x, count=1)[0, 0].item() == pytest.approx(growth / len(x), abs=0.02)


def test_a_dead_direction_is_minus_infinity():
    module = nn.GRU(1, 2)
    nn.init.constant_(module.bias_hh_l0, -60.0)  # z = 0 and r = 0: nothing of the old state is kept
    assert (lyapunov(module.double(), torch.zeros(4, 1, 1).double()) < -50).all()


def test_what_is_not_there_is_named():
    layer = Recurrent(cells.LSTM, 1, 2, num_layers=2)
    x = torch.zeros(4, 1, 1)
    with pytest.raises(ValueError, match="of Recurrent/layer0/forward, Recurrent/layer1/forward; got layer=None"):
        jacobian(layer, x, lag=1)
    with pytest.raises(ValueError, match="lag of 0 to 3, got 4"):
        jacobian(layer, x, lag=4, layer="Recurrent/layer1/forward")
    with pytest.raises(ValueError, match="count of 1 to 4, got 5"):
        lyapunov(layer, x, count=5, layer="Recurrent/layer0/forward")
