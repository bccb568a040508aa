"""The selective state space: what it is where its gate is open, closed and nearly closed."""

import math

import torch
from known_numbers import assert_known, last_output, set_weights
from oracle import drawn, oracle


def started(S6, bias):
    """A cell whose gate is the same for all it reads, an input and a state."""
    cell = drawn(S6(3, 4, order=2))
    with torch.no_grad():
        cell.w.zero_()
        cell.b.fill_(bias)
    return cell, torch.randn(2, 3).double(), torch.randn(2, 4, 2).double()


@oracle("S6")
def keeps_what_it_has_where_delta_is_nought(S6):
    cell, x, s = started(S6, -60.0)
    torch.testing.assert_close(cell(x, (s,)), (s,))


@oracle("S6")
def forgets_where_delta_is_large(S6):
    cell, x, s = started(S6, 200.0)
    u = x @ cell.from_x.weight.T
    b = u @ cell.to_selection.weight[1:3].T
    torch.testing.assert_close(cell(x, (s,))[0], 200 * u[:, :, None] * b[:, None], rtol=1e-6, atol=1e-8)


@oracle("S6")
def follows_its_differential_equation(S6):
    """A short step goes along A s + B u; it is read by C, and u is added."""
    delta = 1e-6
    cell, x, s = started(S6, math.log(math.expm1(delta)))
    u = x @ cell.from_x.weight.T
    b, c = (u @ cell.to_selection.weight[rows].T for rows in (slice(1, 3), slice(3, 5)))
    (new,) = cell(x, (s,))
    slope = -torch.exp(cell.log_a) * s + torch.einsum("bh,bn->bhn", u, b)
    torch.testing.assert_close((new - s) / delta, slope, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(cell.output(x, (s,), (new,)), torch.einsum("bhn,bn->bh", new, c) + cell.d * u)


@oracle("S6")
def selects_by_what_it_reads(S6):
    """Where one feature alone opens the gate, by the number that the selection gives it."""
    cell, x, s = started(S6, 0.0)
    with torch.no_grad():
        cell.w.fill_(1.0)
    delta = torch.log1p(torch.exp(x @ cell.from_x.weight.T @ cell.to_selection.weight[0]))
    lost = torch.autograd.functional.jacobian(lambda s: cell(x, (s,))[0].sum(), s)
    torch.testing.assert_close(lost, torch.exp(-delta[:, None, None] * torch.exp(cell.log_a)))


@oracle("S6")
def is_drawn_as_mambas(S6):
    cell = S6(3, 1000)
    assert cell.initial_state(torch.zeros(2, 3))[0].shape == (2, 1000, 16)
    assert cell.to_selection.weight.shape == (63 + 32, 1000)
    assert cell.from_x.bias is None
    assert cell.to_selection.bias is None
    delta = torch.nn.functional.softplus(cell.b)
    torch.testing.assert_close(torch.stack([delta.min(), delta.max()]), torch.tensor([1e-3, 0.1]), rtol=0.02, atol=0)
    torch.testing.assert_close(delta.log().mean().item(), math.log(0.01), rtol=0, atol=0.15)
    torch.testing.assert_close(torch.exp(cell.log_a), torch.arange(1.0, 17).expand(1000, 16))
    torch.testing.assert_close(cell.d, torch.ones(1000))
    weight = cell.w.abs()
    assert 0.99 * 63**-0.5 < cell.w.max() <= weight.max() <= 63**-0.5
    assert cell.w.min() < -0.99 * 63**-0.5
    assert S6(3, 17).w.shape == (17, 2)


@oracle("S6")
def gives_the_authors_numbers(S6):
    """selective_scan_ref of state-spaces/mamba mamba_ssm/ops/selective_scan_interface.py @ e9594ce1c7."""
    cell = set_weights(S6(3, 4, order=2), from_x_weight=1, to_selection_weight=2, w=3, b=4, log_a=5, d=6)
    numbers = [
        0.226937554203,
        0.358755383334,
        -0.395400747336,
        0.114800415876,
        -0.316155140723,
        -0.491453282251,
        0.643172461024,
        -0.19255208119,
    ]
    assert_known(last_output(cell), numbers)
