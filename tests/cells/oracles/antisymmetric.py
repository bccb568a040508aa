"""Antisymmetric networks at rest: a step turns and loses γ, by the same in every direction."""

import torch
from known_numbers import at_rest
from oracle import assert_normal, oracle

ONE = torch.eye(4).double()


def assert_drawn(cell):
    assert_normal(cell.m, 50**-0.5)
    assert_normal(cell.from_x.weight, 20**-0.5)
    assert not cell.from_x.bias.any()


@oracle("AntisymmetricRNN")
def turns_and_loses_gamma(AntisymmetricRNN):
    cell = AntisymmetricRNN(3, 4).double()
    change = at_rest(cell)
    torch.testing.assert_close(change, ONE + 0.01 * (cell.m - cell.m.T) - 0.01 * 0.01 * ONE, rtol=0, atol=1e-14)
    sizes = torch.linalg.eigvals(change).abs()
    turns = torch.linalg.eigvals(cell.m - cell.m.T).imag
    torch.testing.assert_close(sizes.sort()[0], ((1 - 1e-4) ** 2 + 1e-4 * turns**2).sqrt().sort()[0])
    change = at_rest(AntisymmetricRNN(3, 4, epsilon=0.5, gamma=0.3).double())
    torch.testing.assert_close(change + change.T, 2 * (1 - 0.5 * 0.3) * ONE)


@oracle("AntisymmetricRNN")
def goes_no_further_than_a_step(AntisymmetricRNN):
    cell = AntisymmetricRNN(3, 4, epsilon=0.25).double()
    with torch.no_grad():
        cell.from_x.weight.copy_(50 * torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]))
    h = torch.randn(1, 4).double()
    moved = cell(torch.tensor([[1.0, -1.0, 1.0]]).double(), (h,))[0] - h
    torch.testing.assert_close(moved, 0.25 * torch.tensor([[1.0, -1, 1, 1]]).double())


@oracle("AntisymmetricRNN")
def is_drawn_as_the_paper_says(AntisymmetricRNN):
    assert_drawn(AntisymmetricRNN(20, 50))


@oracle("GatedAntisymmetricRNN")
def goes_half_as_far_at_rest(GatedAntisymmetricRNN):
    cell = GatedAntisymmetricRNN(3, 4).double()
    expected = ONE + 0.01 / 2 * (cell.m - cell.m.T) - 0.01 / 2 * 0.01 * ONE
    torch.testing.assert_close(at_rest(cell), expected, rtol=0, atol=1e-14)
    change = at_rest(GatedAntisymmetricRNN(3, 4, epsilon=0.5, gamma=0.3).double())
    torch.testing.assert_close(change + change.T, 2 * (1 - 0.25 * 0.3) * ONE)


@oracle("GatedAntisymmetricRNN")
def is_the_plain_one_where_its_gate_is_open(GatedAntisymmetricRNN):
    cell = GatedAntisymmetricRNN(3, 4, epsilon=0.5).double()
    with torch.no_grad():
        cell.from_x.bias[:4] = 50.0
    x, h = torch.randn(2, 3).double(), torch.randn(2, 4).double()
    drive = h @ (cell.m - cell.m.T - 0.01 * ONE).T + x @ cell.from_x.weight[4:].T
    torch.testing.assert_close(cell(x, (h,))[0], h + torch.tanh(drive) / 2)
    with torch.no_grad():
        cell.from_x.bias[:4] = -50.0
    torch.testing.assert_close(cell(x, (h,))[0], h)


@oracle("GatedAntisymmetricRNN")
def its_gate_reads_what_the_paper_says(GatedAntisymmetricRNN):
    cell = GatedAntisymmetricRNN(3, 4, epsilon=0.5).double()
    with torch.no_grad():
        cell.from_x.bias[4:] = 50.0
    x, h = torch.randn(2, 3).double(), torch.randn(2, 4).double()
    gate = h @ (cell.m - cell.m.T - 0.01 * ONE).T + x @ cell.from_x.weight[:4].T
    torch.testing.assert_close(cell(x, (h,))[0], h + torch.sigmoid(gate) / 2)


@oracle("GatedAntisymmetricRNN")
def is_drawn_as_the_paper_says_it(GatedAntisymmetricRNN):
    assert_drawn(GatedAntisymmetricRNN(20, 50))
