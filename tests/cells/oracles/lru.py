"""The linear recurrent unit in closed form: a sum of powers, whose gradient is a power too."""

from unittest import mock

import torch
from oracle import drawn, oracle


def started(LRU):
    """A cell, a sequence and a state to start from, all drawn."""
    cell = drawn(LRU(3, 4))
    return cell, torch.randn(6, 2, 3).double(), torch.randn(2, 4, dtype=torch.complex128)


def decay_of(cell):
    return torch.polar(torch.exp(-torch.exp(cell.nu)), torch.exp(cell.theta))


@oracle("LRU")
def is_a_sum_of_powers(LRU):
    cell, x, start = started(LRU)
    decay, state = decay_of(cell), (start,)
    assert cell.initial_state(x[0])[0].dtype == start.dtype
    for t, row in enumerate(x):
        state = cell(row, state)
        s = decay ** (t + 1) * start
        for k in range(t + 1):
            read = torch.complex(x[t - k] @ cell.b_re.T, x[t - k] @ cell.b_im.T)
            s = s + decay**k * cell.gamma.exp() * read
        torch.testing.assert_close(state, (s,))
        y = s.real @ cell.c_re.T - s.imag @ cell.c_im.T + row @ cell.d.T
        torch.testing.assert_close(cell.output(row, (start,), state), y)


@oracle("LRU")
def loses_a_power_of_its_decay(LRU):
    cell, x, start = started(LRU)
    state = (start.requires_grad_(),)
    for row in x:
        state = cell(row, state)
    (gradient,) = torch.autograd.grad(state[0].real.sum(), start)
    torch.testing.assert_close(gradient.abs(), decay_of(cell).abs().pow(len(x)).expand(2, 4))


@oracle("LRU")
def is_drawn_on_a_ring(LRU):
    cell = LRU(50, 200, r_min=0.6, r_max=0.8, max_phase=2.0)
    decay = decay_of(cell)
    squared = decay.abs() ** 2
    assert squared.min() >= 0.36 - 1e-6
    assert squared.max() <= 0.64 + 1e-6
    torch.testing.assert_close(squared.mean().item(), 0.5, rtol=0, atol=0.02)
    assert 1.9 < torch.exp(cell.theta).max() <= 2
    torch.testing.assert_close(torch.exp(cell.theta).mean().item(), 1.0, rtol=0, atol=0.15)
    torch.testing.assert_close(torch.exp(cell.gamma), torch.sqrt(1 - squared))
    for weight, variance in (
        (cell.b_re, 0.01),
        (cell.b_im, 0.01),
        (cell.c_re, 0.005),
        (cell.c_im, 0.005),
        (cell.d, 0.02),
    ):
        torch.testing.assert_close(weight.var().item(), variance, rtol=0.1, atol=0)


@oracle("LRU")
def has_the_whole_disc_by_default(LRU):
    cell = LRU(1, 1000)
    radius, angle = decay_of(cell).abs(), torch.exp(cell.theta)
    assert radius.min() < 0.1
    assert 0.99 < radius.max() < 1
    torch.testing.assert_close((radius**2).mean().item(), 0.5, rtol=0, atol=0.03)
    torch.testing.assert_close(angle.max().item(), 6.28, rtol=0, atol=0.02)


@oracle("LRU")
def can_learn_whatever_is_drawn(LRU):
    with mock.patch.object(torch, "rand", torch.zeros):
        cell = LRU(2, 3)
    (s,) = cell(torch.ones(1, 2), cell.initial_state(torch.ones(1, 2)))
    assert all(each.isfinite().all() for each in torch.autograd.grad(s.abs().sum(), [cell.nu, cell.theta, cell.gamma]))
