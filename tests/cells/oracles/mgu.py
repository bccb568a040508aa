"""The minimal gated unit is torch's GRU with both gates one, where no unit reads another in the product."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


@oracle("MGU")
def is_torchs_with_both_gates_one(MGU):
    cell = drawn(MGU(3, 4))
    with torch.no_grad():
        cell.from_forgotten.weight.copy_(torch.diag(torch.randn(4)))
    f, n = gate(cell, "f"), gate(cell, "n")
    theirs = torchs(nn.GRUCell, r=f, z=tuple(-part for part in f), n=n)
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], theirs(x, h))


@oracle("MGU")
def is_plain_where_its_gate_is_open(MGU):
    cell = drawn(MGU(3, 4))
    with torch.no_grad():
        cell.from_x.bias[:4] = 100.0
    W, U, b = gate(cell, "n")
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], torch.tanh(x @ W.T + h @ U.T + b))


@oracle("MGU")
def is_drawn_as_torchs(MGU):
    cell = MGU(40, 25)
    for layer in (cell.from_x, cell.from_h, cell.from_forgotten):
        assert_uniform(layer.weight, 25**-0.5)
    assert_uniform(cell.from_x.bias, 25**-0.5)
    assert cell.from_h.bias is cell.from_forgotten.bias is None
