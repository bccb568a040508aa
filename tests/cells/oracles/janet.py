"""JANET is the cell of torch's LSTM that reads itself, with 1 − σ(s − 1) = σ(1 − s) as its input gate."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


@oracle("JANET")
def is_the_cell_of_torchs(JANET):
    cell = drawn(JANET(3, 4))
    s, g = gate(cell, "s"), gate(cell, "g")
    theirs = torchs(nn.LSTMCell, i=(-s[0], -s[1], 1 - s[2]), f=s, g=g, o=s)
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], theirs(x, (h, h))[1])


@oracle("JANET")
def is_drawn_as_its_authors_do(JANET):
    cell = JANET(40, 25)
    assert_uniform(cell.from_x.weight, (6 / (40 + 50)) ** 0.5)
    assert_uniform(cell.from_h.weight, (6 / (25 + 50)) ** 0.5)
    assert cell.from_x.bias.tolist() == [1.0] * 25 + [0.0] * 25
    assert cell.from_h.bias is None
