"""assert_retention: passes and fails where a gate of known size says so."""

import re

import pytest
import torch
from torch import nn

from rnnvanish import assert_retention


def leaky(kept, steps=41):
    """A GRU whose units keep exactly this part of their state at each step, and its input."""
    layer = nn.GRU(1, 4).double()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
        layer.bias_hh_l0[4:8] = torch.logit(torch.tensor(kept, dtype=torch.float64))
    return layer, torch.zeros(steps, 2, 1).double()


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_it_fails_below_what_was_asked_for_and_not_above(factor):
    model, x = leaky(0.8)
    asked = factor * 0.8**40
    if factor < 1:
        assert_retention(model, x, lag=40, at_least=asked)
        return
    with pytest.raises(AssertionError) as caught:
        assert_retention(model, x, lag=40, at_least=asked)
    said = str(caught.value)
    assert f"GRU/layer0/forward: {0.8**40:.2g} is left; a thousandth reaches 30 steps back" in said
    assert "rnnvanish.diagnose(model, inputs)" in said


def test_what_no_format_can_hold_fails():
    model, x = leaky(1e-12)
    with pytest.raises(AssertionError, match="is left"):
        assert_retention(model, x, lag=40, at_least=1e-300)


def test_only_the_layer_that_was_named():
    model, x = leaky(0.8)
    with pytest.raises(ValueError, match=re.escape("no layer 'lstm'. There are: GRU/layer0/forward")):
        assert_retention(model, x, lag=40, layer="lstm")

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.good, self.bad = leaky(0.99)[0], leaky(0.1)[0]

        def forward(self, x):
            return self.good(x)[1] + self.bad(x)[1]

    assert_retention(Two(), x, lag=40, layer="good/layer0/forward")
    with pytest.raises(AssertionError) as caught:
        assert_retention(Two(), x, lag=40)
    assert "bad/layer0/forward" in str(caught.value)
    assert "good/layer0/forward" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lag": 41}, "A lag of 41 needs sequences of 42 steps or more, read at their end; the longest here has 41"),
        ({"lag": 0}, "needs lag >= 1"),
        ({"lag": 4, "at_least": 0.0}, "at_least > 0"),
    ],
    ids=["long", "none", "nothing"],
)
def test_wrong_use(options, said):
    with pytest.raises(ValueError, match=said):
        assert_retention(*leaky(0.8), **options)
