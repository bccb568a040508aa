"""Numbers of Sunnydreamrain/IndRNN_pytorch IndRNN_onlyrecurrent.py @ 9b9cb4cd6b, and powers of u."""

import math

import pytest
import torch
from known_numbers import assert_known, at_rest, set_weights, steps, waves
from oracle import assert_uniform, oracle


@oracle("IndRNN")
def is_the_authors(IndRNN):
    cell = set_weights(IndRNN(2, 3), u=1, from_x_weight=2, from_x_bias=3)
    (h,) = steps(cell, (waves(2, 3, start=60),))
    assert_known(h, [0, 0.624779955667, 0, 0.767606125654, 0, 0])


@oracle("IndRNN")
def hands_on_powers_of_u(IndRNN):
    cell = IndRNN(3, 4).double()
    h = torch.rand(1, 4).double() + 1
    torch.testing.assert_close(at_rest(cell, state=(h,)), cell.u.detach().diag())
    state, x = (h,), torch.zeros(1, 3).double()
    for _ in range(7):
        state = cell(x, state)
    torch.testing.assert_close(state[0], h * cell.u**7)


@oracle("IndRNN")
def holds_u_within_its_bound(IndRNN):
    cell, h = IndRNN(3, 4, bound=0.5).double(), torch.ones(1, 4).double()
    with torch.no_grad():
        cell.u.copy_(torch.tensor([0.25, 0.75, -0.25, -3.0]))
        cell.from_x.bias.fill_(2.0)
    new = cell(torch.zeros(1, 3).double(), (h,))[0]
    torch.testing.assert_close(new, torch.tensor([[2.25, 2.5, 1.75, 1.5]]).double())
    assert_uniform(IndRNN(2, 400, bound=0.5).u, 0.5, 0)
    assert IndRNN(2, 400, bound=2 ** (1 / 100)).u.max() <= 2 ** (1 / 100)
    for bound in (0.0, -1.0):
        with pytest.raises(ValueError, match="bound"):
            IndRNN(3, 4, bound=bound)


@oracle("IndRNN")
def is_drawn_as_the_authors(IndRNN):
    cell = IndRNN(20, 400)
    assert_uniform(cell.u, 1, 0)
    bound = math.sqrt(6 / (65 * 20))
    assert_uniform(cell.from_x.weight, bound)
    assert not cell.from_x.bias.any()
    with torch.no_grad():
        cell.u.fill_(3.0)
        cell.from_x.bias.fill_(1.0)
    assert cell(torch.zeros(1, 20), (torch.ones(1, 400),))[0].eq(4).all()
