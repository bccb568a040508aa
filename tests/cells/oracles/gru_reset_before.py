"""The GRU with its reset before the product is torch's where the product is of each unit by itself."""

import torch
from oracle import assert_orthogonal, drawn, gate, normal, oracle, torchs
from torch import nn


@oracle("GRUResetBefore")
def is_torchs_where_no_unit_reads_another(GRUResetBefore):
    cell = drawn(GRUResetBefore(3, 4))
    with torch.no_grad():
        cell.from_reset.weight.copy_(torch.diag(torch.randn(4)))
    theirs = torchs(nn.GRUCell, **{name: gate(cell, name) for name in "rzn"})
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], theirs(x, h))


@oracle("GRUResetBefore")
def is_torchs_where_nothing_is_reset(GRUResetBefore):
    cell = drawn(GRUResetBefore(3, 4))
    with torch.no_grad():
        cell.from_x.bias[:4] = 100.0
    theirs = torchs(nn.GRUCell, **{name: gate(cell, name) for name in "rzn"})
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], theirs(x, h))


@oracle("GRUResetBefore")
def is_drawn_as_its_paper_says(GRUResetBefore):
    cell = GRUResetBefore(40, 25)
    assert 0.009 < cell.from_x.weight.std() < 0.011
    assert 0.03 < cell.from_x.weight.abs().max() < 0.06
    assert cell.from_x.weight.mean().abs() < 0.001
    assert not cell.from_x.bias.any()
    for matrix in (*cell.from_h.weight.chunk(2), cell.from_reset.weight):
        assert_orthogonal(matrix)
    assert cell.from_h.bias is cell.from_reset.bias is None
