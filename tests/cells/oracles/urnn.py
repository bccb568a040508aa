"""A unitary network: its fast transforms against dense matrices of its factors, and no singular value but 1."""

import math

import torch
from oracle import assert_uniform, oracle


def dense(cell):
    """The product of the factors as one matrix: a row times it."""
    n = cell.hidden_size
    steps = torch.arange(n).double()
    fourier = torch.polar(torch.ones(n, n).double() / math.sqrt(n), -2 * math.pi * torch.outer(steps, steps) / n)
    d = [torch.polar(torch.ones(n).double(), -phases).diag() for phases in cell.phases.detach()]
    r = []
    for re, im in cell.reflections.detach():
        v = torch.complex(re, im)
        r.append(torch.eye(n) - 2 * torch.outer(v, v.conj()) / torch.vdot(v, v))
    order = torch.eye(n, dtype=torch.complex128)[:, cell.order]
    return d[0] @ fourier @ r[0] @ order @ d[1] @ fourier.conj() @ r[1] @ d[2]


def state(n, batch=2):
    return torch.randn(batch, n, dtype=torch.complex128)


@oracle("URNN")
def is_the_dense_product_of_its_factors(URNN):
    cell, x, h = URNN(3, 6).double(), torch.randn(2, 3).double(), state(6)
    cell.order.copy_(torch.tensor([2, 0, 1, 5, 3, 4]))  # neither its own inverse nor nothing
    re, im = (x @ cell.from_x.weight.T).chunk(2, 1)
    z = h @ dense(cell) + torch.complex(re, im)
    size = z.abs()
    torch.testing.assert_close(cell(x, (h,))[0], (size + cell.bias).relu() / (size + 1e-5) * z)


@oracle("URNN")
def no_direction_fades(URNN):
    """Of every number its size and its angle: the slope of the authors' modReLU without bias differs from 1 by 10⁻⁵."""
    cell, h = URNN(3, 5).double(), 100 * torch.view_as_real(state(5, 1))
    with torch.no_grad():
        cell.bias.zero_()

    def step(parts):
        new = cell(torch.zeros(1, 3).double(), (torch.view_as_complex(parts),))[0]
        return torch.view_as_real(new).flatten()

    change = torch.func.jacrev(step)(h).reshape(10, 10)
    torch.testing.assert_close(torch.linalg.svdvals(change), torch.ones(10).double(), rtol=0, atol=1e-5)
    w = dense(cell)
    torch.testing.assert_close(w @ w.conj().T, torch.eye(5, dtype=torch.complex128))


@oracle("URNN")
def stays_unitary_in_training(URNN):
    cell, x = URNN(3, 5).double(), torch.randn(4, 2, 3).double()
    optimiser = torch.optim.SGD(cell.parameters(), lr=0.1)
    for _ in range(3):
        h = cell.initial_state(x[0])
        for each in x:
            h = cell(each, h)
        optimiser.zero_grad()
        h[0].abs().sum().sin().backward()
        assert all(parameter.grad.any() for parameter in cell.parameters())
        optimiser.step()
    w = dense(cell)
    torch.testing.assert_close(w @ w.conj().T, torch.eye(5, dtype=torch.complex128))
    with torch.no_grad():
        cell.bias.zero_()
    h = 100 * state(5)
    torch.testing.assert_close(cell(torch.zeros(2, 3).double(), (h,))[0], h @ w, rtol=1e-4, atol=1e-4)


@oracle("URNN")
def is_nought_below_its_bias(URNN):
    cell, h = URNN(3, 4).double(), torch.ones(1, 4, dtype=torch.complex128)
    with torch.no_grad():
        cell.bias.copy_(torch.tensor([-9.0, 9.0, -9.0, 9.0]))
    assert cell(torch.zeros(1, 3).double(), (h,))[0].ne(0).tolist() == [[False, True, False, True]]


@oracle("URNN")
def reads_in_16_bits_and_turns_in_more(URNN):
    cell, x, h = URNN(3, 4), torch.randn(2, 3), state(4).to(torch.complex64)
    with torch.autocast("cpu", torch.bfloat16):
        found = cell(x, (h,))[0]
    torch.testing.assert_close(found, cell(x, (h,))[0], rtol=0.05, atol=0.05)


@oracle("URNN")
def hands_on_both_parts(URNN):
    cell, x, h = URNN(3, 4), torch.zeros(2, 3), state(4)
    assert cell.output_size == 8
    assert torch.equal(cell.output(x, (state(4),), (h,)), torch.cat([h.real, h.imag], 1))


@oracle("URNN")
def is_drawn_as_the_authors(URNN):
    cell = URNN(40, 200)
    bound = math.sqrt(6 / 440)
    assert_uniform(cell.from_x.weight, bound)
    assert cell.from_x.bias is None
    assert_uniform(cell.phases, math.pi)
    bound = math.sqrt(6 / 402)
    assert_uniform(cell.reflections, bound)
    assert_uniform(torch.stack([URNN(1, 2).reflections for _ in range(40)]), 1)
    assert_uniform(cell.bias, 0.01)
    bound = math.sqrt(3 / 400)
    assert_uniform(cell.h0, bound)
    assert {"h0", "bias", "phases", "reflections"} < {name for name, _ in cell.named_parameters()}
    (h,) = cell.initial_state(torch.zeros(2, 40))
    assert torch.equal(torch.stack([h.real, h.imag])[:, 1], cell.h0)
    assert cell.order.sort()[0].tolist() == list(range(200))
    assert cell.order.tolist() != list(range(200))
