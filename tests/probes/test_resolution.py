"""Numerical resolution: a tenth is left at each step, and formats that are really used say when it is gone."""

import pytest
import torch
from torch import nn

from rnnvanish.numerics.norms import gains
from rnnvanish.probes import retention
from rnnvanish.probes.resolution import resolution


def tenth(dtype, hidden=3):
    module = nn.RNN(1, hidden, nonlinearity="relu")
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
        module.weight_hh_l0.copy_(0.1 * torch.eye(hidden))
        module.bias_ih_l0.fill_(1.0)
    return module.to(dtype)


def test_where_the_numbers_are_lost_is_known():
    (found,) = resolution(tenth(torch.float32), torch.zeros(60, 2, 1)).values()
    assert found.own == "float32"
    assert found.lost_from == {"float32": 46, "bfloat16": 41, "float16": 8}
    assert found.drowned_from == {"float32": 8, "bfloat16": 3, "float16": 4}
    assert set(found.lost["float16"][:8].tolist()) == {0}
    assert set(found.lost["float16"][8:].tolist()) == {1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_run_in_that_precision_loses_them_there(dtype):
    """The oracle is a product in the format itself."""
    name = str(dtype).removeprefix("torch.")
    (found,) = resolution(tenth(torch.float32), torch.zeros(60, 1, 1)).values()
    gradient = torch.ones(1, dtype=torch.float64)
    held = [bool((gradient * 0.1**lag).to(dtype) > 0) for lag in range(60)]
    assert found.lost_from[name] == held.index(False)
    drowns = [bool(1 + torch.tensor(0.1**lag).to(dtype) == torch.ones(1, dtype=dtype)) for lag in range(60)]
    assert found.drowned_from[name] == drowns.index(True)


def test_a_gradient_that_stays_is_never_lost():
    module = tenth(torch.float64)
    nn.init.eye_(module.weight_hh_l0)
    (found,) = resolution(module, torch.zeros(20, 1, 1).double()).values()
    assert found.own == "float64"
    assert set(found.lost_from.values()) == {None}
    assert set(found.drowned_from.values()) == {None}


def test_a_chaotic_run_that_needs_double_precision_is_compared_in_double():
    """Rounding parts it from the run in single precision; the gradient of the upper layer is lost there."""
    torch.manual_seed(0)
    model, x = nn.RNN(1, 16, num_layers=2), torch.randn(50, 3, 1)
    with torch.no_grad():
        model.weight_hh_l0.normal_(0, 1.5)
        model.weight_hh_l1.mul_(1e-3)
    single, double = model(x)[0].detach(), model.double()(x.double())[0].detach()
    assert (single - double).abs().max() > 1e-3
    curves, expected = retention(model.float(), x), retention(model.double(), x.double())
    for name, curve in curves.items():
        torch.testing.assert_close(curve.gain, expected[name].gain, rtol=1e-6, atol=0, equal_nan=True)
    assert curves["RNN/layer1/forward"].gain[-1] < 1e-40


def test_a_zero_is_one_where_the_number_before_it_could_be_held_to_the_last():
    limit = torch.finfo(torch.float32).tiny / torch.finfo(torch.float32).eps

    def after(before):
        whole, _ = gains([torch.tensor([[1.0], [before], [0.0]], dtype=torch.float64)], torch.float32)
        return whole.tolist()[2]

    assert after(limit) == 0
    assert after(limit * 0.99) != 0  # nan: it may have fallen below what can be held
