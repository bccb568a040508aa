"""Retention through depth: layers that multiply by a known factor, and stacks whose whole gain torch knows."""

import math

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells
from rnnvanish.probes.depth import depth


def test_layers_without_recurrence_multiply_by_their_weights():
    torch.manual_seed(0)
    module = nn.RNN(4, 4, num_layers=3, nonlinearity="relu").double()
    with torch.no_grad():
        for layer, gain in enumerate((0.5, 2.0, 3.0)):
            nn.init.orthogonal_(getattr(module, f"weight_ih_l{layer}"), gain)
            getattr(module, f"weight_hh_l{layer}").zero_()
            getattr(module, f"bias_ih_l{layer}").fill_(1000.0 * 10**layer)  # every unit is on
    found = depth(module, torch.randn(6, 2, 4).double())
    assert [passage.gain for passage in found.values()] == pytest.approx([0.5, 2.0, 3.0], rel=1e-11)
    assert found["RNN/layer2/forward"].arrives == pytest.approx(
        math.sqrt(8)
    )  # ones at the end of 2 sequences of 4 units


@pytest.mark.parametrize("build", [nn.RNN, nn.LSTM, nn.GRU])
def test_what_leaves_the_lowest_layer_is_the_gradient_of_the_input(build):
    torch.manual_seed(0)
    module, x = build(2, 5, num_layers=3).double(), torch.randn(8, 3, 2).double().requires_grad_()

    def loss(output):
        return output[0][-1].square().sum()

    output = module(x)
    read = output[0]
    (of_output,) = torch.autograd.grad(loss((read,)), read, retain_graph=True)
    (of_x,) = torch.autograd.grad(loss(output), x)
    low, middle, top = depth(module, x.detach(), loss).values()
    assert top.arrives == pytest.approx(of_output.norm().item(), rel=1e-11)
    assert low.leaves == pytest.approx(of_x.norm().item(), rel=1e-11)
    assert (low.arrives, middle.arrives) == pytest.approx((middle.leaves, top.leaves), rel=1e-11)
    whole = of_x.norm().item() / of_output.norm().item()
    assert low.gain * middle.gain * top.gain == pytest.approx(whole, rel=1e-11)


def test_a_layer_that_reads_nothing_lets_nothing_through():
    layer = Recurrent(cells.Elman, 2, 3, num_layers=2).double()
    nn.init.zeros_(layer.cells[1].from_x.weight)
    found = depth(layer, torch.randn(5, 2, 2).double())
    assert found["Recurrent/layer1/forward"].gain == 0
    assert math.isnan(found["Recurrent/layer0/forward"].gain)


def exploding(gain, dtype):
    """Units that are all on, and a step back that stretches by a known factor."""
    torch.manual_seed(0)
    module = nn.RNN(4, 48, nonlinearity="relu")
    weight = torch.rand(48, 48)
    with torch.no_grad():
        module.weight_hh_l0.copy_(gain * weight / torch.linalg.matrix_norm(weight, 2))
    return module.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("gain", "steps"), [(1.5, 40), (1.3, 300)])
def test_rounding_of_a_gradient_that_explodes_does_not_arrive(gain, steps, dtype):
    (found,) = depth(exploding(gain, dtype), torch.rand(steps, 3, 4).to(dtype)).values()
    assert found.leaves > 1e6
    assert found.arrives == pytest.approx(12, rel=1e-6)  # ones at the end of 3 sequences of 48 units


def test_what_arrives_beside_a_gradient_ten_thousand_times_as_large_is_told_from_it():
    torch.manual_seed(0)
    module = nn.RNN(4, 32)
    nn.init.normal_(module.weight_hh_l0, std=3 / math.sqrt(32))
    (found,) = depth(module, torch.randn(40, 4, 4), lambda output: output[0].sum()).values()
    assert found.leaves > 1e5
    assert found.arrives == pytest.approx(math.sqrt(4 * 32), rel=1e-6)  # ones at the end
