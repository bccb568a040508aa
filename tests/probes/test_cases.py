"""Worst and typical case: torch's own Jacobian of its own run, networks whose factors are set, and no matrix."""

import math
import sys

import pytest
import torch
from torch import nn

from rnnvanish.numerics.lanczos import largest_singular_values
from rnnvanish.probes import jacobian
from rnnvanish.probes.cases import cases


def diagonal(factors):
    """A ReLU network whose units are all on and keep a factor of themselves each."""
    module = nn.RNN(1, len(factors), nonlinearity="relu").double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.diag(factors))
        module.bias_ih_l0.fill_(1.0)
    return module


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_against_torchs_jacobian_of_its_fused_run(kind):
    torch.manual_seed(0)
    module, x, lags = getattr(nn, kind)(2, 4).double(), torch.randn(12, 2, 2).double(), [0, 1, 3, 7]
    found = cases(module, x, lags)
    assert found.lag.tolist() == lags
    for row, lag in enumerate(lags):
        for sequence in range(2):
            before = module(x[: 12 - lag, sequence])[1]
            flat = torch.cat(before if kind == "LSTM" else (before,), dim=-1)

            def end(flat, lag=lag, sequence=sequence):
                if lag == 0:
                    return flat
                parts = flat.split(4, dim=-1)
                after = module(x[12 - lag :, sequence], parts if kind == "LSTM" else parts[0])[1]
                return torch.cat(after if kind == "LSTM" else (after,), dim=-1)

            whole = torch.autograd.functional.jacobian(end, flat.detach())[0, :, 0]
            worst, typical = torch.linalg.matrix_norm(whole, 2), whole.norm() / len(whole) ** 0.5
            assert found.log_worst[row, sequence].item() == pytest.approx(worst.log().item(), abs=1e-11)
            assert found.log_typical[row, sequence].item() == pytest.approx(typical.log().item(), abs=1e-11)
    assert not found.error.any()


def test_numbers_that_no_format_holds():
    found = cases(diagonal(torch.full((3,), 1e-6, dtype=torch.float64)), torch.zeros(72, 1, 1).double(), [70])
    assert found.log_worst.item() == pytest.approx(70 * math.log(1e-6), rel=1e-12)  # 1e-420
    assert found.log_typical.item() == pytest.approx(70 * math.log(1e-6), rel=1e-12)
    assert found.worst.tolist() == [0.0]


def test_lags_are_powers_of_two_if_none_are_named():
    assert cases(nn.GRU(1, 2), torch.zeros(21, 1, 1)).lag.tolist() == [1, 2, 4, 8, 16]
    with pytest.raises(ValueError, match="shortest sequence has 21 steps: needs a lag of 0 to 20, got 21"):
        cases(nn.GRU(1, 2), torch.zeros(21, 1, 1), [21])


def test_of_a_large_state_no_matrix_is_made():
    factors = torch.tensor([0.99, 0.97, 0.9, *torch.linspace(0.1, 0.8, 297).tolist()], dtype=torch.float64)
    module, x = diagonal(factors), torch.zeros(10, 2, 1).double()
    found = cases(module, x, [1, 6])
    for row, lag in enumerate((1, 6)):
        assert found.worst[row].item() == pytest.approx(0.99**lag, rel=1e-9)
        exact = (factors ** (2 * lag)).mean().sqrt().log()
        assert ((found.log_typical[row] - exact).abs() < 4 * found.error[row] + 1e-12).all()
    values = jacobian(module, x, lag=4, count=3)
    torch.testing.assert_close(values, factors[:3].expand(2, 3) ** 4, rtol=1e-8, atol=0)
    with pytest.raises(ValueError, match="has 300 numbers: say how many are needed, such as count=5"):
        jacobian(module, x, lag=4)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_products_with_vectors_say_the_same_as_matrices(kind, monkeypatch):
    torch.manual_seed(0)
    module, x = getattr(nn, kind)(2, 5, num_layers=2).double(), torch.randn(9, 3, 2).double()
    for layer in (f"{kind}/layer0/forward", f"{kind}/layer1/forward"):
        exact = cases(module, x, [1, 5], layer)
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules[cases.__module__], "DENSE", 0)
            drawn = cases(module, x, [1, 5], layer)
        torch.testing.assert_close(drawn.log_worst, exact.log_worst, rtol=0, atol=1e-9)
        away = (drawn.log_typical - exact.log_typical).abs() / drawn.error
        assert away.max() < 4
        assert away.max() > 0


def test_lanczos_against_a_matrix():
    torch.manual_seed(0)
    matrices = torch.randn(2, 30, 30).double()
    found = largest_singular_values(
        lambda v: (matrices @ v[..., None]).squeeze(-1),
        lambda u: (matrices.mT @ u[..., None]).squeeze(-1),
        torch.randn(2, 30).double(),
        count=4,
    )
    torch.testing.assert_close(found, torch.linalg.svdvals(matrices)[:, :4], rtol=1e-9, atol=0)
