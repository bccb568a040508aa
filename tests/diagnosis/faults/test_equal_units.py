"""Weights that make all units alike, and starts that nearly do."""

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells
from rnnvanish.diagnosis.find_faults import find


def inputs():
    torch.manual_seed(0)
    return torch.randn(20, 4, 3)


def constant(layer, value=0.1):
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


@pytest.mark.parametrize("value", [0.1, 0.0])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN, lambda i, h: Recurrent(cells.LSTM, i, h)])
def test_weights_of_one_number_are_named(kind, value):
    (finding,) = find(constant(kind(3, 8), value), inputs())  # not too small ones, too
    assert finding.fault == "equal units"
    assert f"The weights are all {'equal' if value else 'zero'}: all 8 units do the same" in finding.seen
    assert (finding.before, finding.after) == (1.0, 8.0)


def test_recurrent_weights_alone_that_are_zero_are_too_small_and_units_differ():
    layer = nn.RNN(3, 8)
    nn.init.zeros_(layer.weight_hh_l0)
    assert [finding.fault for finding in find(layer, inputs())] == ["too small recurrent weights"]


def test_weights_that_treat_all_units_alike_are_named():
    """A multiple of the identity, and equal rows of the input's weights: no matrix is made of one number."""
    layer = constant(nn.RNN(3, 8))
    nn.init.eye_(layer.weight_hh_l0)
    layer.weight_ih_l0.data = torch.tensor([[0.3, -0.2, 0.1]]).repeat(8, 1)
    (finding,) = find(layer, inputs())
    assert "The weights treat all units alike" in finding.seen
    assert finding.after == 8


def identity(layer):
    nn.init.eye_(layer.weight_hh_l0)
    return layer


def without_recurrence(layer):
    nn.init.constant_(layer.weight_hh_l0, 1e-9)
    return layer


def without_bias(layer):
    nn.init.zeros_(layer.bias_ih_l0)
    nn.init.zeros_(layer.bias_hh_l0)
    return layer


def nearly(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.001 * torch.randn_like(parameter))
    return layer


NEAR = {
    "nearly equal weights": lambda: nearly(constant(nn.GRU(3, 8))),
    "identity": lambda: identity(without_bias(nn.RNN(3, 8, nonlinearity="relu"))),
    "zero biases": lambda: without_bias(nn.LSTM(3, 8)),
    "equal recurrent weights": lambda: without_recurrence(nn.GRU(3, 8)),
    "one unit": lambda: constant(nn.LSTM(3, 1)),
}


@pytest.mark.parametrize("name", NEAR)
def test_units_that_differ_are_no_fault(name):
    torch.manual_seed(0)
    assert "equal units" not in [each.fault for each in find(NEAR[name](), inputs())]


def test_units_that_all_stand_at_one_may_differ():
    torch.manual_seed(0)
    layer = nn.RNN(3, 8)
    nn.init.constant_(layer.bias_ih_l0, 30.0)
    found = [each.fault for each in find(layer, inputs())]
    assert "stuck units" in found
    assert "equal units" not in found


def test_states_of_nothing_are_no_equal_weights():
    assert find(without_bias(nn.LSTM(3, 8)), torch.zeros(20, 4, 3)) == ()
