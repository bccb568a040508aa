"""The Legendre memory: what it gives back, against a fine integration, and the plain network that reads it."""

import math

import torch
from oracle import drawn, oracle
from torch import nn


def in_double(LMU, *sizes, **options):
    """A cell whose fixed matrices are of double precision too."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return LMU(*sizes, **options)
    finally:
        torch.set_default_dtype(default)


def remembers(cell):
    """The same cell, which remembers its input itself."""
    with torch.no_grad():
        for encoder, value in ((cell.e_x, 1.0), (cell.e_h, 0.0), (cell.e_m, 0.0)):
            encoder.fill_(value)
    return cell


@oracle("LMU")
def gives_the_past_back(LMU):
    """The sum of m and shifted Legendre polynomials at θ′/θ is what was read θ′ steps ago."""
    theta, order = 40.0, 10
    cell = remembers(in_double(LMU, 1, 2, order=order, theta=theta))

    def u(t):
        return math.sin(t / 7) + 0.5 * math.cos(t / 11)

    state = cell.initial_state(torch.zeros(1, 1).double())
    for t in range(150):
        state = cell(torch.full((1, 1), u(t + 0.5)).double(), state)  # held from t to t + 1
    for ago in (0.1, 0.3, 0.5, 0.7, 0.9):
        polynomials = [1.0, 2 * ago - 1]
        for n in range(1, order - 1):
            polynomials.append(((2 * n + 1) * (2 * ago - 1) * polynomials[n] - n * polynomials[n - 1]) / (n + 1))
        read = sum(p * m for p, m in zip(polynomials, state[1][0].tolist(), strict=True))
        assert abs(read - u(150 - ago * theta)) < 0.02


@oracle("LMU")
def is_the_equation_finely_integrated(LMU):
    """θ m′ = A m + B u with u held still for a step: 50 steps of Runge and Kutta."""
    theta, order = 6.0, 4
    cell, x = remembers(in_double(LMU, 1, 2, order=order, theta=theta)), torch.randn(3, 1).double()
    start = torch.randn(3, order).double()
    a = [[(2 * i + 1) * (-1.0 if i < j else (-1.0) ** (i - j + 1)) for j in range(order)] for i in range(order)]
    a, b = torch.tensor(a).double(), torch.tensor([(2 * i + 1) * (-1.0) ** i for i in range(order)]).double()

    def slope(m):
        return (m @ a.T + x * b) / theta

    m, dt = start, 1 / 50
    for _ in range(50):
        first = slope(m)
        second = slope(m + dt / 2 * first)
        third = slope(m + dt / 2 * second)
        m = m + dt / 6 * (first + 2 * second + 2 * third + slope(m + dt * third))
    _, new = cell(x, (torch.zeros(3, 2).double(), start))
    torch.testing.assert_close(new, m, rtol=1e-7, atol=1e-7)


@oracle("LMU")
def is_a_plain_network_that_also_reads_its_new_memory(LMU):
    cell, theirs = drawn(LMU(3, 4, order=5, theta=6.0)), nn.RNNCell(8, 4).double()
    with torch.no_grad():
        theirs.bias_ih.zero_()
        theirs.bias_hh.zero_()
        theirs.weight_ih.copy_(torch.cat([cell.from_x.weight, cell.from_m.weight], 1))
        theirs.weight_hh.copy_(cell.from_h.weight)
    x, h, m = torch.randn(2, 3).double(), torch.randn(2, 4).double(), torch.randn(2, 5).double()
    new_h, new_m = cell(x, (h, m))
    torch.testing.assert_close(new_h, theirs(torch.cat([x, new_m], 1), h))


@oracle("LMU")
def remembers_one_number_of_all_it_has(LMU):
    cell = drawn(LMU(3, 4, order=5, theta=6.0))
    x, h, m = torch.randn(2, 3).double(), torch.randn(2, 4).double(), torch.randn(2, 5).double()
    _, new = cell(x, (h, m))
    u = torch.cat([x, h, m], 1) @ torch.cat([cell.e_x, cell.e_h, cell.e_m])
    torch.testing.assert_close(new, torch.einsum("ij,bj->bi", cell.a, m) + torch.einsum("i,b->bi", cell.b, u))


@oracle("LMU")
def is_drawn_as_the_authors_draw(LMU):
    cell = LMU(300, 200, order=100, theta=50.0)
    assert not cell.e_m.any()
    for encoder, size in ((cell.e_x, 300), (cell.e_h, 200)):
        bound = math.sqrt(3 / size)
        assert 0.95 * bound < encoder.max() <= bound
        assert -bound <= encoder.min() < -0.95 * bound
    for layer, sizes in ((cell.from_x, 500), (cell.from_h, 400), (cell.from_m, 300)):
        assert layer.bias is None
        torch.testing.assert_close(layer.weight.std().item(), math.sqrt(2 / sizes), rtol=0.03, atol=0)
    exact = in_double(LMU, 3, 2, order=12, theta=5.0)
    assert torch.equal(LMU(3, 2, order=12, theta=5.0).a, exact.a.float())
    assert torch.equal(LMU(3, 2, order=12, theta=5.0).b, exact.b.float())
    default, same = LMU(1, 1), LMU(1, 1, order=256, theta=784.0)
    torch.testing.assert_close([default.a, default.b], [same.a, same.b])
