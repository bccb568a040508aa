"""STAR is tanh of the cell of torch's LSTM that reads itself, with 1 − σ(f − 1) = σ(1 − f) as its input gate."""

import math

import torch
from oracle import assert_orthogonal, drawn, gate, normal, oracle, torchs
from torch import nn


@oracle("STAR")
def is_the_cell_of_torchs_squashed(STAR):
    cell = drawn(STAR(3, 4))
    f, z = gate(cell, "f"), gate(cell, "z")
    theirs = torchs(nn.LSTMCell, i=(-f[0], -f[1], 1 - f[2]), f=f, g=z, o=z)
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], torch.tanh(theirs(x, (h, h))[1]))


@oracle("STAR")
def is_drawn_as_its_authors_do(STAR):
    cell = STAR(40, 25)
    for matrix in (*cell.from_x.weight.chunk(2), cell.from_h.weight):
        assert_orthogonal(matrix)
    assert cell.from_x.bias[:25].tolist() == [0.0] * 25
    assert cell.from_h.bias is None
    for options, longest in (({}, 784), ({"t_max": 30}, 30)):
        steps = torch.exp(STAR(4, 1000, **options).from_x.bias[1000:].detach())
        assert 1 <= steps.min() < 1 + 0.02 * longest
        assert 0.97 * longest < steps.max() <= longest * (1 + 1e-5)
        assert math.isclose(steps.mean(), (1 + longest) / 2, rel_tol=0.1)
