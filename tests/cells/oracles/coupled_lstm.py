"""The coupled LSTM is torch's whose input gate is 1 − f, which is σ of minus what f is σ of."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


@oracle("CoupledLSTM")
def is_torchs_with_an_input_gate_that_is_the_rest(CoupledLSTM):
    cell = drawn(CoupledLSTM(3, 4))
    f, g, o = (gate(cell, name) for name in "fgo")
    theirs = torchs(nn.LSTMCell, i=tuple(-part for part in f), f=f, g=g, o=o)
    x, h, c = normal(3, 4, 4)
    torch.testing.assert_close(cell(x, (h, c)), theirs(x, (h, c)))


@oracle("CoupledLSTM")
def is_drawn_as_tensorflow_does(CoupledLSTM):
    cell = CoupledLSTM(40, 25)
    bound = (6 / (40 + 25 + 3 * 25)) ** 0.5  # one matrix for input and state and all gates
    assert_uniform(cell.from_x.weight, bound)
    assert_uniform(cell.from_h.weight, bound)
    assert cell.from_x.bias.tolist() == [1.0] * 25 + [0.0] * 50
    assert cell.from_h.bias is None
