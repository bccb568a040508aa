"""Bistable cells are torch's GRU with twice the identity as product: a = 1 + tanh(b) = 2σ(2b) resets it."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


def as_gru(cell, to_a, to_c):
    """Torch's GRU, of the cell's input weights and the matrices by which its gates read the state."""
    (Wa, _, ba), (Wc, _, bc), (Wn, _, bn) = (gate(cell, name) for name in "acn")
    gates = {"r": (2 * Wa, 2 * to_a, 2 * ba), "z": (Wc, to_c, bc), "n": (Wn, 2 * torch.eye(4).double(), bn)}
    return torchs(nn.GRUCell, **gates)


@oracle("BRC")
def is_torchs_where_no_unit_reads_another(BRC):
    cell = drawn(BRC(3, 4))
    x, h = normal(3, 4)
    theirs = as_gru(cell, torch.diag(cell.memory_a), torch.diag(cell.memory_c))
    torch.testing.assert_close(cell(x, (h,))[0], theirs(x, h))


@oracle("BRC")
def is_drawn_as_its_authors_do(BRC):
    cell = BRC(40, 25)
    for layer in (cell.from_x, cell.from_x_to_n):
        assert_uniform(layer.weight, (6 / (40 + 25)) ** 0.5)
    assert not cell.from_x.bias.any()
    assert cell.from_x_to_n.bias is None
    assert cell.memory_a.tolist() == cell.memory_c.tolist() == [1.0] * 25


@oracle("BRC")
def rests_in_one_of_two_states(BRC):
    cell = BRC(3, 2).double()
    with torch.no_grad():
        cell.from_x.bias[:2] = 1.0
    h = torch.tensor([[0.3, -0.3]]).double()
    for _ in range(400):
        (h,) = cell(torch.zeros(1, 3).double(), (h,))
    high, low = h[0].tolist()
    assert high > 0.9
    assert low < -0.5
    torch.testing.assert_close(torch.tanh((1 + torch.tanh(1 + h)) * h), h)


@oracle("NBRC")
def is_torchs_whose_candidate_reads_each_unit_by_itself(NBRC):
    cell = drawn(NBRC(3, 4))
    x, h = normal(3, 4)
    torch.testing.assert_close(cell(x, (h,))[0], as_gru(cell, gate(cell, "a")[1], gate(cell, "c")[1])(x, h))


@oracle("NBRC")
def nbrc_is_drawn_as_its_authors_do(NBRC):
    cell = NBRC(40, 25)
    assert_uniform(cell.from_x.weight, (6 / (40 + 25)) ** 0.5)
    assert_uniform(cell.from_h.weight, (6 / (25 + 25)) ** 0.5)
    assert not cell.from_h.bias.any()
    assert cell.from_x.bias is None
