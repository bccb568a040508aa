"""Inputs that saturate gates and units: which feature it is, and inputs that are large but do not."""

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells
from rnnvanish.diagnosis.find_faults import find


def inputs(seed=0):
    torch.manual_seed(seed)
    return torch.randn(30, 6, 5)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_one_column_that_was_never_scaled_is_named(kind):
    x = inputs()
    x[..., 3] = 50 * x[..., 3] + 1000
    (finding,) = find(kind(5, 16), x)
    assert finding.fault == "saturated input"
    others = float(x[..., [0, 1, 2, 4]].square().mean().sqrt())
    assert (
        f"feature 3 of 5 (counted from 0), whose typical size is 1e+03 (mean 1e+03), that of the others {others:.3g}"
        in (finding.seen)
    )
    assert finding.before > 0.8
    assert finding.after < 0.1


def test_features_that_are_all_too_large_are_not_told_one_by_one():
    (finding,) = find(nn.GRU(5, 16), 200 * inputs())
    assert "The input is the cause: its typical size is" in finding.seen
    assert finding.after < 0.1


def test_a_large_bias_is_not_the_input():
    torch.manual_seed(0)
    layer = nn.RNN(5, 16)
    nn.init.constant_(layer.bias_ih_l0, 30.0)
    assert "saturated input" not in [each.fault for each in find(layer, inputs())]


NEAR = {
    "standardised": lambda x: x,
    "a rare large one": lambda x: torch.where(torch.arange(5) == 2, torch.where(x > 2.5, 8 * x, x), x),
    "one feature three times the others": lambda x: x * torch.tensor([1.0, 1.0, 3.0, 1.0, 1.0]),
    "a constant feature": lambda x: torch.cat([x[..., :4], torch.ones_like(x[..., :1])], -1),
    "zeros": torch.zeros_like,
    "one of many": lambda x: nn.functional.one_hot(x.argmax(-1), 5).float(),
}


@pytest.mark.parametrize("name", NEAR)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.RNN])
def test_what_does_not_saturate_is_no_fault(kind, name):
    assert find(kind(5, 16), NEAR[name](inputs())) == ()


def test_embeddings_and_rectifiers_are_no_fault():
    torch.manual_seed(0)

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.memory = nn.Embedding(9, 5), nn.LSTM(5, 16)

        def forward(self, x):
            return self.memory(self.words(x))[0][-1]

    assert find(Words(), torch.randint(9, (20, 4))) == ()
    relu = Recurrent(cells.Elman, 5, 16, nonlinearity="relu")
    nn.init.orthogonal_(relu.get_parameter("cells.0.from_h.weight"))
    assert find(relu, 100 * inputs()) == ()
