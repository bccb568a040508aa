"""The LSTM is torch's own."""

import torch
from oracle import as_torch, assert_drawn_as_torch, oracle
from torch import nn


@oracle("LSTM")
def is_torchs(LSTM):
    theirs, ours = as_torch(nn.LSTMCell(3, 4), LSTM(3, 4))
    x, h, c = torch.randn(2, 3).double(), torch.randn(2, 4).double(), torch.randn(2, 4).double()
    torch.testing.assert_close(ours(x, (h, c)), theirs(x, (h, c)))


@oracle("LSTM")
def is_drawn_as_torchs(LSTM):
    assert_drawn_as_torch(LSTM, nn.LSTMCell)
