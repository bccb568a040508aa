"""The GRU is torch's own."""

import torch
from oracle import as_torch, assert_drawn_as_torch, oracle
from torch import nn


@oracle("GRU")
def is_torchs(GRU):
    theirs, ours = as_torch(nn.GRUCell(3, 4), GRU(3, 4))
    x, h = torch.randn(2, 3).double(), torch.randn(2, 4).double()
    torch.testing.assert_close(ours(x, (h,))[0], theirs(x, h))


@oracle("GRU")
def is_drawn_as_torchs(GRU):
    assert_drawn_as_torch(GRU, nn.GRUCell)
