"""Layers for cures to change, sequences for them to read, and a training that moves every weight."""

import pytest
import torch
from torch import nn

from rnnvanish import cells

TIME, BATCH, INPUT, HIDDEN = 7, 4, 3, 5
TORCH = {
    "RNN": (cells.Elman, lambda **options: nn.RNN(INPUT, HIDDEN, **options).double()),
    "LSTM": (cells.LSTM, lambda **options: nn.LSTM(INPUT, HIDDEN, **options).double()),
    "GRU": (cells.GRU, lambda **options: nn.GRU(INPUT, HIDDEN, **options).double()),
}


#: Builds, and the layers of torch's that they do not suit.
UNSUITED = {("HDetach", "RNN"), ("CoupledGates", "RNN"), ("CoupledGates", "GRU")}


def skip_unsuited(name, kind):
    """Skip a test of a build on a layer that it refuses; that it does has a test of its own."""
    if (name, kind) in UNSUITED:
        pytest.skip(f"{name} refuses nn.{kind}")


def sequences(time=TIME):
    return torch.randn(time, BATCH, INPUT, dtype=torch.float64)


def train_a_little(model, steps=30):
    """Enough steps, and large ones, for every weight to move."""
    x, target = torch.randn(12, 8, INPUT), torch.randn(8, HIDDEN)
    rule = torch.optim.Adam(model.parameters(), lr=0.02)
    before = [weight.detach().clone() for weight in model.parameters()]
    for _ in range(steps):
        rule.zero_grad()
        (model(x)[0][-1] - target).square().mean().backward()
        rule.step()
    moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert all(moved)
    return model
