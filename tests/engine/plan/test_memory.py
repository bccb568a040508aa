"""What is kept over what it was computed from: only what nobody reads again."""

import itertools

import pytest
import torch
from engine_steps import Step
from torch import nn

from rnnvanish import Recurrent, cells
from rnnvanish.engine import run


class TwoSums(Step):
    """Two preactivations of a step as wide as four states."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x, self.from_h = (nn.Linear(size, 4 * hidden_size) for size in (input_size, hidden_size))

    def sum(self, x, h):
        return self.from_x(x) + self.from_h(h)


class Reread(TwoSums):
    """The sum below a gate is read again beside it."""

    def forward(self, x, state):
        a, b, c, d = self.sum(x, state[0]).chunk(4, dim=-1)
        return (torch.sigmoid(a) * a + torch.tanh(b) * torch.sigmoid(c) - d,)


class Crossing(TwoSums):
    """Stretches that share lanes: what one gate is kept over, another would read."""

    def forward(self, x, state):
        z, n = self.sum(x, state[0]), self.hidden_size
        return (torch.sigmoid(z[:, :n]) * torch.tanh(z[:, 1 : n + 1]) + torch.tanh(z[:, 2 * n : 3 * n]),)


class Twice(TwoSums):
    """Two gates of one sum, and a gate of gates."""

    def forward(self, x, state):
        a, b, c, _ = self.sum(x, state[0]).chunk(4, dim=-1)
        gate = torch.sigmoid(torch.tanh(a) + b)
        return (gate * torch.tanh(c) + (1 - gate) * torch.sigmoid(c),)


class Late(TwoSums):
    """A gate is read by a product, and again after it."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.late = nn.Linear(hidden_size, hidden_size)

    def forward(self, x, state):
        a, b, c, d = self.sum(x, state[0]).chunk(4, dim=-1)
        r = torch.sigmoid(a)
        return (r * torch.tanh(self.late(r * state[0]) + torch.sigmoid(b)) + torch.sigmoid(c) * torch.exp(-d * d),)


@pytest.mark.parametrize("cell", [Reread, Crossing, Twice, Late])
def test_what_is_read_again_is_not_written_over(cell):
    torch.manual_seed(0)
    layer, x = Recurrent(cell, 5, 6).double(), torch.randn(9, 3, 5, dtype=torch.float64, requires_grad=True)
    found = {}
    for layer.engine in ("cpu", "reference"):
        y, h = layer(x, lengths=torch.tensor([9, 4, 7]))
        weighed = (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum() + h.square().sum()
        found[layer.engine] = [y, *torch.autograd.grad(weighed, [x, *layer.parameters()])]
    for ours, theirs in zip(*found.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("cell", "gates"), [(cells.LSTM, 4), (cells.GRU, 3), (cells.Elman, 0), (Reread, 2)])
def test_gates_are_kept_where_there_is_room(cell, gates):
    run._programs.clear()
    Recurrent(cell, 5, 6, engine="cpu")(torch.randn(9, 3, 5))
    (program,) = run._programs.values()
    stretches = sorted(program.staged.forward.in_place)
    assert len(stretches) == gates
    assert all(one[0] != other[0] or one[2] <= other[1] for one, other in itertools.pairwise(stretches))
    assert program.staged.saved >= {buffer for buffer, *_ in stretches}
