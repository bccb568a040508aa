"""MinimalRNN is torch's GRU without a recurrent candidate that reads x and tanh(W x) side by side."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


@oracle("MinimalRNN")
def is_torchs_that_reads_the_map_too(MinimalRNN):
    cell = drawn(MinimalRNN(3, 4))
    (W, none, b), (_, U, b_u) = gate(cell, "z"), gate(cell, "u")
    side = torch.zeros(4, 4).double()
    n, u = (torch.cat((W, side), 1), none, b), (torch.cat((side[:, :3], cell.from_z), 1), U, b_u)
    x, h = normal(3, 4)
    both = torch.cat((x, torch.tanh(x @ W.T + b)), 1)
    torch.testing.assert_close(cell(x, (h,))[0], torchs(nn.GRUCell, r=u, z=u, n=n)(both, h))


@oracle("MinimalRNN")
def is_drawn_as_torchs(MinimalRNN):
    cell = MinimalRNN(40, 25)
    for values in (cell.from_x.weight, cell.from_x.bias, cell.from_h.weight, cell.from_h.bias, cell.from_z):
        assert_uniform(values, 25**-0.5)
