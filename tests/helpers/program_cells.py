"""Cells whose step is made from something, their numbers by each engine, and whether a program ran them."""

import torch
from torch import nn

from rnnvanish import Recurrent
from rnnvanish.cell import Cell, Paper
from rnnvanish.engine import programs, run

X = torch.randn(40, 16, 5, generator=torch.Generator().manual_seed(0))


class Base(Cell):
    """tanh of a sum, times `factor`: each test says what that is made from."""

    paper = Paper("-", 2026, "written for the tests", "-")
    inherited = 0.5

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x, self.from_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)

    def forward(self, x, state):
        return (torch.tanh(self.from_x(x) + self.from_h(state[0])) * self.factor(),)


def built(cell):
    torch.manual_seed(0)
    return Recurrent(cell, 5, 8)


def numbers(layer, engine, x=X):
    layer.engine = engine
    try:
        x = x.clone().requires_grad_()
        y, _ = layer(x)
        return [y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()], materialize_grads=True)]
    finally:
        layer.engine = "auto"


def compiled(layer):
    """Whether the last run of a layer was by a program."""
    known = programs._cells.get(id(layer.cells[0]))
    return known is not None and any(
        hasattr(run._programs.get(entry.key), "staged") for entry in known.entries.values()
    )


def same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(
            one, other, rtol=1e-4, atol=1e-5 * max(1.0, float(other.abs().nan_to_num().max())), equal_nan=True
        )
