"""The diagonal state space in closed form: a convolution, the rest that it comes to, and steps that can be divided."""

import math

import torch
from known_numbers import assert_known, last_output, set_weights
from oracle import drawn, oracle
from parallel_form import assert_parallel_is_the_step


@oracle("S4D")
def is_a_convolution(S4D):
    cell, x = drawn(S4D(3, 4, order=2)), torch.randn(6, 2, 3).double()
    rate = torch.complex(-torch.exp(cell.log_a), cell.omega)
    step = torch.exp(cell.log_dt)
    weight = torch.complex(cell.c_re, cell.c_im) * torch.expm1(step * rate) / rate
    u = x @ cell.from_x.weight.T + cell.from_x.bias
    state = cell.initial_state(x[0])
    for t, row in enumerate(x):
        state = cell(row, state)
        kernel = [2 * (weight * torch.exp(k * step * rate)).real.sum(-1) for k in range(t + 1)]
        y = sum(kernel[k] * u[t - k] for k in range(t + 1)) + cell.d * u[t]
        torch.testing.assert_close(cell.output(row, state, state), y)


@oracle("S4D")
def rests_where_its_equation_does(S4D):
    """Where u does not change, A s + u = 0 stays."""
    cell, x = drawn(S4D(3, 4, order=2)), torch.randn(2, 3).double()
    rest = -cell.from_x(x)[..., None] / torch.complex(-torch.exp(cell.log_a), cell.omega)
    torch.testing.assert_close(cell(x, (rest,)), (rest,))


@oracle("S4D")
def takes_a_step_in_two_halves(S4D):
    cell, x = drawn(S4D(3, 4, order=2)), torch.randn(2, 3).double()
    start = torch.randn(2, 4, 2, dtype=torch.complex128)
    whole = cell(x, (start,))
    with torch.no_grad():
        cell.log_dt -= math.log(2)
    torch.testing.assert_close(cell(x, cell(x, (start,))), whole)


@oracle("S4D")
def is_drawn_as_s4d_lin(S4D):
    cell = S4D(3, 1000)
    assert cell.initial_state(torch.zeros(2, 3))[0].shape == (2, 1000, 32)
    step = torch.exp(cell.log_dt)
    torch.testing.assert_close(torch.stack([step.min(), step.max()]), torch.tensor([1e-3, 0.1]), rtol=0.02, atol=0)
    torch.testing.assert_close(cell.log_dt.mean().item(), math.log(0.01), rtol=0, atol=0.15)
    torch.testing.assert_close(torch.exp(cell.log_a), torch.full((1000, 32), 0.5))
    torch.testing.assert_close(cell.omega, torch.pi * torch.arange(32.0).expand(1000, 32))
    for weight, variance in ((cell.c_re, 0.5), (cell.c_im, 0.5), (cell.d, 1.0)):
        torch.testing.assert_close(weight.var().item(), variance, rtol=0.15, atol=0)


@oracle("S4D")
def is_itself_all_at_once(S4D):
    assert_parallel_is_the_step(S4D, 10, order=2)


@oracle("S4D")
def gives_the_authors_numbers(S4D):
    """The kernel of state-spaces/s4 models/s4/s4d.py @ e757cef57d, and their convolution."""
    cell = set_weights(
        S4D(3, 4, order=2), from_x_weight=1, from_x_bias=2, log_dt=3, log_a=4, omega=5, c_re=6, c_im=7, d=8
    )
    numbers = [
        3.435190514984,
        1.123815654533,
        1.904786776454,
        -4.130365853235,
        9.073461840996,
        -0.952301040633,
        0.8539795097,
        -0.634152851277,
    ]
    assert_known(last_output(cell), numbers)
