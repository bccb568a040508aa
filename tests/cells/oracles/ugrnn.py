"""The update gate RNN is torch's GRU of which nothing is reset."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


@oracle("UGRNN")
def is_torchs_where_nothing_is_reset(UGRNN):
    cell = drawn(UGRNN(3, 4))
    g, n = gate(cell, "g"), gate(cell, "n")
    never = (torch.zeros_like(g[0]), torch.zeros_like(g[1]), torch.full_like(g[2], 100.0))
    theirs = torchs(nn.GRUCell, r=never, z=g, n=n)
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], theirs(x, h))


@oracle("UGRNN")
def is_drawn_as_its_authors_do(UGRNN):
    cell = UGRNN(40, 25)
    bound = (6 / (40 + 25 + 50)) ** 0.5  # one matrix for input and state and both gates
    assert_uniform(cell.from_x.weight, bound)
    assert_uniform(cell.from_h.weight, bound)
    assert cell.from_x.bias.tolist() == [1.0] * 25 + [0.0] * 25
    assert cell.from_h.bias is None
