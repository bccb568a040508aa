"""Orthogonal networks: rotations in closed form, torch's own reflections, and no singular value but 1.

expRNN also by numbers of Lezcano/expRNN orthogonal.py @ 830ec83652, with torch's exponential of a matrix in place of its own.
"""

import math

import pytest
import torch
from known_numbers import assert_known, at_rest, set_weights, steps, waves
from oracle import assert_normal, assert_uniform, oracle
from torch import nn

from rnnvanish import Recurrent


def without_bias(cell):
    """What `modReLU` does without one is nothing."""
    with torch.no_grad():
        cell.bias.zero_()
    return cell.double()


def turned(kind, value, **options):
    """To where the two units of a row are turned by one number above the diagonal."""
    cell = without_bias(kind(1, 2, **options))
    with torch.no_grad():
        cell.a[0, 1] = value
    one = torch.eye(2).double()
    return cell(torch.zeros(2, 1).double(), (one,))[0]


def rotation(angle):
    return torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]], dtype=torch.float64)


def assert_stays_orthogonal(cell, matrix):
    """A step back over several steps loses nothing in any direction, also after steps of training."""
    x = torch.randn(6, 3, 3).double()
    optimiser = torch.optim.SGD(cell.parameters(), lr=0.1)
    for _ in range(3):
        state = (torch.randn(3, 5).double(),)
        for each in x:
            state = cell(each, state)
        optimiser.zero_grad()
        state[0].square().sum().sin().backward()
        assert all(parameter.grad is not None for name, parameter in cell.named_parameters() if name != "h0")
        optimiser.step()
    q = matrix(cell)
    torch.testing.assert_close(q @ q.T, torch.eye(5).double())
    assert (q - torch.eye(5)).abs().max() > 0.01


def by_rows(cell):
    """The matrix that a row is multiplied with, read off from a step."""
    with torch.no_grad():
        cell.bias.zero_()
        return cell(torch.zeros(5, 3).double(), (torch.eye(5).double(),))[0]


@oracle("ExpRNN")
def is_the_authors(ExpRNN):
    cell = set_weights(ExpRNN(2, 3), a=1, from_x_weight=2)
    with torch.no_grad():
        cell.bias.copy_(waves(3, start=3) / 4)
    (h,) = steps(cell, (waves(2, 3, start=60),))
    assert_known(h, [0.660866749464, 0.986894472424, 0, -0.298332411908, 0, 0.478120798019])


@oracle("ExpRNN")
@oracle("ScoRNN")
def turns_by_an_angle(kind):
    angle = 0.7
    above = {"ExpRNN": angle, "ScoRNN": -math.tan(angle / 2)}[kind.__name__]
    torch.testing.assert_close(turned(kind, above), rotation(angle), rtol=1e-6, atol=1e-7)


@oracle("ExpRNN")
@oracle("ScoRNN")
def no_direction_fades(kind):
    cell, x = without_bias(kind(3, 5)), torch.randn(6, 1, 3).double()
    change, state = torch.eye(5).double(), (torch.randn(1, 5).double(),)
    for each in x:
        change, state = at_rest(cell, each, state) @ change, cell(each, state)
    torch.testing.assert_close(torch.linalg.svdvals(change), torch.ones(5).double())
    assert_stays_orthogonal(kind(3, 5).double(), by_rows)


@oracle("ExpRNN")
@oracle("ScoRNN")
def shrinks_by_its_bias(kind):
    cell = without_bias(kind(1, 4))
    with torch.no_grad():
        cell.a.zero_()
        cell.from_x.weight.zero_()
        cell.bias.copy_(torch.tensor([-0.5, -0.5, 0.5, -2.0]))
    x, h = torch.zeros(1, 1).double(), torch.tensor([[1.0, -1.0, -1.0, 1.0]]).double()
    assert cell(x, (h,))[0].tolist() == [[0.5, -0.5, -1.5, 0.0]]


@oracle("ScoRNN")
def its_last_columns_are_turned_round(ScoRNN):
    expected = rotation(0.7) * torch.tensor([1.0, -1.0])
    torch.testing.assert_close(turned(ScoRNN, -math.tan(0.35), negative=1), expected, rtol=1e-6, atol=1e-7)
    for negative in (0, 1, 5):
        expected = [1.0] * (5 - negative) + [-1.0] * negative
        assert ScoRNN(3, 5, negative=negative).d.tolist() == expected
    for negative in (-1, 6):
        with pytest.raises(ValueError, match="negative"):
            ScoRNN(3, 5, negative=negative)


def pairs(cell, hidden):
    """The numbers above the diagonal that turn units next to each other; all others are nought."""
    found = cell.a.detach()[::2, 1::2].diagonal()
    assert cell.a.count_nonzero() == hidden // 2
    assert found.count_nonzero() == hidden // 2
    return found


@oracle("ExpRNN")
def is_drawn_as_the_authors_henaff(ExpRNN):
    cell = ExpRNN(50, 300)
    assert_uniform(pairs(cell, 300), math.pi)
    assert_uniform(cell.bias, 0.01)
    assert_normal(cell.from_x.weight, math.sqrt(2 / 50))
    assert cell.from_x.bias is None
    pairs(ExpRNN(2, 7), 7)


@oracle("ScoRNN")
def is_drawn_as_the_authors_cayley(ScoRNN):
    cell = ScoRNN(50, 300)
    assert_uniform(-2 * torch.atan(pairs(cell, 300)), math.pi / 2, 0)
    assert not cell.bias.any()
    assert_uniform(cell.from_x.weight, 0.01)
    assert cell.from_x.bias is None
    pairs(ScoRNN(2, 7), 7)


def reflected(cell):
    """The matrix of a Householder network by torch's own product of reflections, which wants a 1 on the diagonal."""
    u = cell.u.detach().tril()
    u = u / u.diagonal()
    return torch.linalg.householder_product(
        torch.cat([u, torch.zeros(len(u), len(u) - u.shape[1]).double()], 1),
        2 / u.square().sum(0),
    )


def above_zero(cell):
    with torch.no_grad():
        cell.from_x.bias.fill_(100.0)
    return cell.double()


@oracle("HouseholderRNN")
def is_torchs_product_of_reflections(HouseholderRNN):
    for reflections in (1, 3):
        cell = above_zero(HouseholderRNN(3, 5, reflections=reflections))
        h, x = torch.randn(2, 5).double(), torch.randn(2, 3).double()
        expected = 100 + x @ cell.from_x.weight.T + h @ reflected(cell).T
        torch.testing.assert_close(cell(x, (h,))[0], expected)
        assert cell.d.tolist() == [1.0] * 5


@oracle("HouseholderRNN")
def leaves_a_tenth_below_zero(HouseholderRNN):
    cell = HouseholderRNN(3, 5, reflections=2).double()
    h, x = torch.randn(2, 5).double(), torch.randn(2, 3).double()
    expected = nn.functional.leaky_relu(x @ cell.from_x.weight.T + h @ reflected(cell).T, 0.1)
    torch.testing.assert_close(cell(x, (h,))[0], expected)


@oracle("HouseholderRNN")
def with_as_many_as_units_the_last_is_a_sign(HouseholderRNN):
    signs = set()
    for _ in range(12):
        cell = above_zero(HouseholderRNN(3, 4))
        h, x = torch.randn(2, 4).double(), torch.zeros(2, 3).double()
        expected = 100 + (h * cell.d) @ reflected(cell)[:, :4].T
        torch.testing.assert_close(cell(x, (h,))[0], expected)
        assert cell.d[:3].tolist() == [1.0] * 3
        signs.add(cell.d[3].item())
    assert signs == {1.0, -1.0}
    assert cell.u.shape == (4, 3)
    for reflections in (0, 5):
        with pytest.raises(ValueError, match="reflections"):
            HouseholderRNN(3, 4, reflections=reflections)


@oracle("HouseholderRNN")
def no_direction_fades_above_zero(HouseholderRNN):
    cell = above_zero(HouseholderRNN(3, 5))
    torch.testing.assert_close(torch.linalg.svdvals(at_rest(cell)), torch.ones(5).double())

    def matrix(cell):
        above_zero(cell)
        zeros = torch.zeros(5, 3).double()
        return (cell(zeros, (torch.eye(5).double(),))[0] - cell(zeros, (torch.zeros(5, 5).double(),))[0]).detach().T

    assert_stays_orthogonal(HouseholderRNN(3, 5).double(), matrix)


@oracle("HouseholderRNN")
def solves_in_more_than_16_bits(HouseholderRNN):
    cell, x, h = HouseholderRNN(3, 5), torch.randn(2, 3), torch.randn(2, 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = cell(x, (h,))[0]
    torch.testing.assert_close(found, cell(x, (h,))[0], rtol=0.05, atol=0.05, check_dtype=False)


@oracle("HouseholderRNN")
def is_drawn_as_the_authors(HouseholderRNN):
    cell = HouseholderRNN(60, 90)
    bound = math.sqrt(6 / 150)
    assert_uniform(cell.from_x.weight, bound)
    assert not cell.from_x.bias.any()
    torch.testing.assert_close(cell.u.norm(dim=0), torch.ones(89))
    assert not cell.u.triu(1).any()
    assert 0.4 < (cell.u.tril() < 0).sum() / cell.u.count_nonzero() < 0.6
    assert cell.u[-1, :9].abs().max() < 0.5 < cell.u[-2:, -1].abs().max()
    bound = math.sqrt(3 / 600)
    cell = HouseholderRNN(2, 300)
    assert_uniform(cell.h0, bound)
    layer = Recurrent(HouseholderRNN, 2, 3, engine="reference")
    assert cell.initial_state(torch.zeros(4, 2))[0].eq(cell.h0).all()
    layer(torch.zeros(1, 4, 2))[0].sum().backward()
    assert layer.cells[0].h0.grad.all()
