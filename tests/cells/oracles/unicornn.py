"""Undamped oscillators: without weights powers of a matrix of two by two, and of determinant 1 with any.

The authors' code, tk-rusch/unicornn @ 35b243d9ac, runs on a GPU alone.
"""

import math

import torch
from known_numbers import at_rest, steps
from oracle import assert_uniform, oracle


@oracle("UnICORNN")
def is_an_oscillator_where_nothing_drives_it(UnICORNN):
    for options, (dt, alpha) in (({}, (0.19, 30.65)), ({"dt": 0.5, "alpha": 1.5}, (0.5, 1.5))):
        cell = UnICORNN(3, 1, **options).double()
        with torch.no_grad():
            cell.from_x.weight.zero_()
            cell.w.zero_()
            cell.c.fill_(0.7)
        s = dt / (1 + math.exp(-0.7))
        one = torch.tensor([[1 - s * s * alpha, s], [-s * alpha, 1]], dtype=torch.float64)
        start = torch.randn(2, 2, 1).double()
        y, z = steps(cell, tuple(start), count=9)
        expected = torch.einsum("ij,jbn->ibn", torch.linalg.matrix_power(one, 9), start)
        torch.testing.assert_close(torch.stack([y, z]), expected)


@oracle("UnICORNN")
def loses_nothing(UnICORNN):
    """A step is symplectic: it turns the plane of y and z of a unit, and leaves its areas as they are."""
    cell = UnICORNN(3, 4).double()
    state = torch.randn(2, 1, 4).double()
    change = at_rest(cell, torch.randn(1, 3).double(), tuple(state))
    turn = torch.kron(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.eye(4)).double()
    torch.testing.assert_close(change.T @ turn @ change, turn)


@oracle("UnICORNN")
def can_be_run_backwards(UnICORNN):
    """As the authors' backward pass does, which keeps no states."""
    cell, x = UnICORNN(3, 4, dt=0.5, alpha=2.0).double(), torch.randn(2, 3).double()
    with torch.no_grad():
        cell.from_x.bias.normal_()
    before = torch.randn(2, 2, 4).double()
    y, z = cell(x, tuple(before))
    pace = 0.5 * torch.sigmoid(cell.c)
    y = y - pace * z
    z = z + pace * (torch.tanh(cell.w * y + x @ cell.from_x.weight.T + cell.from_x.bias) + 2 * y)
    torch.testing.assert_close(torch.stack([y, z]), before)


@oracle("UnICORNN")
def is_drawn_as_the_authors(UnICORNN):
    cell, bound = UnICORNN(20, 400), math.sqrt(6 / (65 * 20))
    assert_uniform(cell.from_x.weight, bound)
    assert not cell.from_x.bias.any()
    assert_uniform(cell.w, 1, 0)
    assert_uniform(cell.c, 0.1)
