"""The LSTM of 1997 is torch's with its forget gate open, its cell halved: 2σ(a) − 1 is tanh(a/2)."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


@oracle("LSTM1997")
def is_torchs_with_its_forget_gate_open(LSTM1997):
    cell = drawn(LSTM1997(3, 4))
    i, g, o = (gate(cell, name) for name in "igo")
    always_open = (torch.zeros_like(i[0]), torch.zeros_like(i[1]), torch.full_like(i[2], 100.0))
    theirs = torchs(nn.LSTMCell, i=i, f=always_open, g=tuple(part / 2 for part in g), o=o)
    x, h, c = normal(3, 4, 4)
    expected_h, half_c = theirs(x, (h, c / 2))
    torch.testing.assert_close(cell(x, (h, c)), (expected_h, 2 * half_c))


@oracle("LSTM1997")
def hands_the_gradient_of_its_cell_on_undiminished(LSTM1997):
    cell = drawn(LSTM1997(3, 4))
    h, c = normal(4, 4)
    start = c.requires_grad_()
    for x in normal(*[3] * 20):
        c = cell(x, (h, c))[1]
    torch.testing.assert_close(torch.autograd.grad(c.sum(), start)[0], torch.ones_like(c), rtol=0, atol=0)


@oracle("LSTM1997")
def is_drawn_as_its_docstring_says(LSTM1997):
    cell = LSTM1997(40, 25)
    for values in (cell.from_x.weight, cell.from_h.weight, cell.from_x.bias[25:]):
        assert_uniform(values, 0.1)
    assert set(cell.from_x.bias[:25].tolist()) == {-3.0}
    assert set(LSTM1997(40, 25, input_bias=-6.0).from_x.bias[:25].tolist()) == {-6.0}
    assert cell.from_h.bias is None
