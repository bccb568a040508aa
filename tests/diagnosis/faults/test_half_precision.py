"""Half precision that loses a gradient which would arrive; and half precision that does not."""

import pytest
import torch
from torch import nn

from rnnvanish.diagnosis.find_faults import find

TIME = 20


class Reader(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.memory, self.head = nn.LSTM(3, 16), nn.Linear(16, 4)
        nn.init.constant_(self.memory.bias_ih_l0[16:32].data, 4.0)
        self.to(dtype)

    def forward(self, x):
        self.output = self.memory(x)[0]
        return self.head(self.output[-1])


def mean(scale):
    return lambda y: scale * y.float().square().mean()


def planted(dtype):
    torch.manual_seed(0)
    return Reader(dtype), torch.randn(TIME, 4, 3).to(dtype)


def test_gradients_below_the_smallest_number_are_named():
    model, x = planted(torch.float16)
    (finding,) = [each for each in find(model, x, mean(1e-5)) if each.fault == "lost in half precision"]
    assert "float16 rounds" in finding.seen
    assert "GradScaler" in finding.remedy
    assert finding.before > 0.5
    assert finding.after == 0


def test_it_is_what_torch_does():
    """Without any measure: in float16 nothing comes back to the input, where double precision has it."""
    model, x = planted(torch.float16)

    def arrives(model, x):
        x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(mean(1e-5)(model(x)), x)
        return float((gradient != 0).double().mean())

    assert arrives(model, x) < 0.5
    assert arrives(model.double(), x.double()) == 1


@pytest.mark.parametrize(
    ("dtype", "scale"), [(torch.float16, 1.0), (torch.bfloat16, 1.0), (torch.bfloat16, 1e-5), (torch.float32, 1e-5)]
)
def test_what_the_format_holds_is_no_fault(dtype, scale):
    model, x = planted(dtype)
    assert "lost in half precision" not in [each.fault for each in find(model, x, mean(scale))]


def test_a_gradient_that_vanishes_in_any_precision_is_no_matter_of_the_format():
    torch.manual_seed(0)
    model, x = nn.RNN(3, 16).half(), torch.randn(60, 4, 3).half()
    assert "lost in half precision" not in [each.fault for each in find(model, x)]
