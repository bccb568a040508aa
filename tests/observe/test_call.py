"""Forms in which steps take and return their state: the same network has the same curve in every one."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from rnnvanish.probes import retention

TIME, BATCH, WIDTH = 6, 3, 4


@dataclass(frozen=True)
class Parts:
    h: Tensor
    c: Tensor


class Step(nn.Module):
    def __init__(self):
        super().__init__()
        self.core = nn.LSTMCell(WIDTH, WIDTH)


class InADataclass(Step):
    def forward(self, x, state):
        h, c = self.core(x, (state.h, state.c))
        return h, Parts(h, c)

    def loop(self, x, zero):
        state = Parts(zero, zero)
        for now in x:
            y, state = self(now, state=state)
        return y


class Swapped(Step):
    def forward(self, x, c, h):
        return self.core(x, (h, c))

    def loop(self, x, zero):
        h = c = zero
        for now in x:
            h, c = self(now, c, h)
        return h


class OneMemory(Step):
    """Both parts are views of one tensor, and come back in another order than they go in."""

    def forward(self, x, h, c):
        h, c = self.core(x, (h, c))
        return torch.cat([c, h], 1).chunk(2, 1)

    def loop(self, x, zero):
        h = c = zero
        for now in x:
            c, h = self(now, h, c)
        return h


class Model(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return self.step.loop(x, x.new_zeros(x.shape[1], WIDTH))


@pytest.mark.parametrize("make", [InADataclass, Swapped, OneMemory])
def test_the_same_network_has_the_same_curve(make):
    torch.manual_seed(0)
    step, x = make().double(), torch.randn(TIME, BATCH, WIDTH).double()
    (ours,) = retention(Model(step), x, loss=torch.sum, cells=[Step]).values()
    layer = nn.LSTM(WIDTH, WIDTH).double()
    layer.load_state_dict({f"{name}_l0": weight for name, weight in step.core.state_dict().items()})
    (theirs,) = retention(layer, x, loss=lambda output: output[0][-1].sum()).values()
    torch.testing.assert_close(ours.gain, theirs.gain, rtol=1e-10, atol=1e-12)
    for name in "hc":
        part = next(value for key, value in ours.parts.items() if key.endswith(name))
        torch.testing.assert_close(part, theirs.parts[name], rtol=1e-10, atol=1e-12)
    assert ours.notes == ()


class Tied(nn.Module):
    """One cell for both layers, whose states are kept in one tensor."""

    def __init__(self, stacked):
        super().__init__()
        self.cell, self.stacked = nn.GRUCell(WIDTH, WIDTH), stacked

    def forward(self, x):
        lower = upper = x.new_zeros(x.shape[1], WIDTH)
        for now in x:
            lower = self.cell(now, lower)
            upper = self.cell(lower, upper)
            if self.stacked:
                lower, upper = torch.stack([lower, upper])
        return upper


def test_two_layers_of_one_cell_are_two_loops():
    torch.manual_seed(0)
    model, x = Tied(stacked=False).double(), torch.randn(TIME, BATCH, WIDTH).double()
    theirs, model.stacked = retention(model, x), True
    ours = retention(model, x)
    assert list(ours) == list(theirs) == ["cell", "cell (call 2)"]
    for name, curve in ours.items():
        torch.testing.assert_close(curve.gain, theirs[name].gain, rtol=1e-10, atol=1e-12)
        assert curve.notes == ()
