"""The UR-LSTM is the coupled one where its second gate is one half, and known where that is 0 or 1."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


def refined(cell, by):
    """The cell with its second gate at σ(by), whatever is read."""
    with torch.no_grad():
        for layer in (cell.from_x, cell.from_h):
            layer.weight[4:8] = 0
        cell.from_x.bias[4:8] = by
    return cell


@oracle("URLSTM")
def is_coupled_where_the_second_gate_is_one_half(URLSTM):
    cell = refined(drawn(URLSTM(3, 4)), 0.0)
    f, u, o = (gate(cell, name) for name in "fuo")
    theirs = torchs(nn.LSTMCell, i=tuple(-part for part in f), f=f, g=u, o=o)
    x, h, c = normal(3, 4, 4)
    torch.testing.assert_close(cell(x, (h, c)), theirs(x, (h, c)))


@oracle("URLSTM")
def keeps_the_square_or_forgets_the_square_where_the_second_gate_is_shut_or_open(URLSTM):
    cell = drawn(URLSTM(3, 4))
    x, h, c = normal(3, 4, 4)
    W, U, b = gate(cell, "f")
    f = torch.sigmoid(x @ W.T + h @ U.T + b)
    for by, kept in ((-100.0, f.square()), (100.0, 1 - (1 - f).square())):
        step = refined(cell, by)
        slope = step(x, (h, c + 1))[1] - step(x, (h, c))[1]
        torch.testing.assert_close(slope, kept)


@oracle("URLSTM")
def begins_with_gates_that_are_uniform(URLSTM):
    cell = URLSTM(40, 1000)
    f, r, rest = (cell.from_x.bias[rows] for rows in (slice(1000), slice(1000, 2000), slice(2000, None)))
    torch.testing.assert_close(torch.sigmoid(f) + torch.sigmoid(r), torch.ones(1000))
    assert_uniform(2 * torch.sigmoid(f) - 1, 1 - 2 / 1000)
    assert_uniform(rest, 1000**-0.5)
    assert_uniform(cell.from_x.weight, 1000**-0.5)
    assert_uniform(cell.from_h.weight, 1000**-0.5)
    few = torch.cat([torch.sigmoid(URLSTM(1, 4).from_x.bias[:4]) for _ in range(100)])
    assert_uniform(2 * few - 1, 1 / 2)
    assert URLSTM(3, 1).from_x.bias[:2].tolist() == [0.0, 0.0]
    assert cell.from_h.bias is None
