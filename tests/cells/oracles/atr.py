"""ATR is the cell of torch's LSTM, gates p + q and p − q, where its tanh is straight: near 0."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn

SMALL = 1e-6


@oracle("ATR")
def is_the_cell_of_torchs_where_tanh_is_straight(ATR):
    cell = drawn(ATR(3, 4))
    (W, _, b), (_, U, d) = gate(cell, "p"), gate(cell, "q")
    p = (SMALL * W, torch.zeros_like(U), SMALL * b)
    theirs = torchs(nn.LSTMCell, i=(W, U, b + d), f=(W, -U, b - d), g=p, o=p)
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], theirs(x, (h, SMALL * h))[1] / SMALL)


@oracle("ATR")
def is_drawn_as_its_authors_do(ATR):
    cell = ATR(40, 250)
    for values in (cell.from_x.weight, cell.from_x.bias, cell.from_h.weight, cell.from_h.bias):
        assert_uniform(values, 0.08)
