"""The chaos-free network is the cell of torch's LSTM that is given tanh(h) to keep, and whose candidate reads x."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


@oracle("CFN")
def is_the_cell_of_torchs(CFN):
    cell = drawn(CFN(3, 4))
    theta, eta, n = (gate(cell, name) for name in ("theta", "eta", "n"))
    theirs = torchs(nn.LSTMCell, i=eta, f=theta, g=n, o=n)
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], theirs(x, (h, torch.tanh(h)))[1])


@oracle("CFN")
def relaxes_to_nothing_without_input(CFN):
    cell = drawn(CFN(3, 4))
    (h,) = normal(4)
    for _ in range(30):
        (after,) = cell(torch.zeros(2, 3).double(), (h,))
        assert (after.abs() < h.abs()).all()
        h = after


@oracle("CFN")
def is_drawn_as_its_docstring_says(CFN):
    cell = CFN(40, 25)
    assert_uniform(cell.from_x.weight, 0.07)
    assert_uniform(cell.from_h.weight, 0.07)
    assert cell.from_h.bias.tolist() == [1.0] * 25 + [-1.0] * 25
    assert cell.from_x.bias is None
