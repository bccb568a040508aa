"""The delta rule: what is stored under orthogonal keys comes back exactly, and is corrected under the same key."""

import math

import torch
from known_numbers import assert_known, last_output, set_weights
from oracle import drawn, oracle
from parallel_form import assert_parallel_is_the_step
from torch.nn.functional import silu

HEADS, WIDTH = 2, 2


def with_keys(DeltaNet, rate):
    """A cell whose keys and queries are the input's first numbers, and whose values are drawn; and its β."""
    cell = drawn(DeltaNet(WIDTH + 1, HEADS * WIDTH, heads=HEADS))
    keys = torch.eye(WIDTH, WIDTH + 1).double().repeat(HEADS, 1) * 1e5
    with torch.no_grad():
        cell.from_x.weight[: 2 * HEADS * WIDTH] = keys.repeat(2, 1)
        cell.from_x_rate.weight.zero_()
        cell.from_x_rate.weight[:, -1] = rate
    return cell


def at(key, extra=1.0):
    return torch.tensor([[float(key == unit) for unit in range(WIDTH)] + [extra]]).double()


def read(cell, key, state):
    return cell.output(at(key), state, state) * math.sqrt(WIDTH)


def value(cell, x):
    return silu(x @ cell.from_x.weight[2 * HEADS * WIDTH :].T)


@oracle("DeltaNet")
def stores_exactly_under_orthogonal_keys(DeltaNet):
    cell = with_keys(DeltaNet, 50.0)
    state = (torch.randn(1, HEADS, WIDTH, WIDTH).double(),)
    for key in range(WIDTH):
        state = cell(at(key), state)
    for key in range(WIDTH):
        torch.testing.assert_close(read(cell, key, state), value(cell, at(key)))


@oracle("DeltaNet")
def corrects_a_share_of_the_error(DeltaNet):
    """β = 1/4: what was stored under the key comes a quarter closer, what is under another stays."""
    cell = with_keys(DeltaNet, math.log(1 / 3))
    state = (torch.randn(1, HEADS, WIDTH, WIDTH).double(),)
    new = cell(at(0), state)
    before = read(cell, 0, state)
    torch.testing.assert_close(read(cell, 0, new), before + (value(cell, at(0)) - before) / 4)
    torch.testing.assert_close(read(cell, 1, new), read(cell, 1, state))


@oracle("DeltaNet")
def normalises_queries_and_keys(DeltaNet):
    """S (1 − β k kᵀ) + β v kᵀ, with k of length 1 but for the authors' 10⁻⁶."""
    cell, x = drawn(DeltaNet(3, 4, heads=HEADS)), torch.randn(2, 3).double()
    S = torch.randn(2, HEADS, WIDTH, WIDTH).double()
    q, k, v = silu(x @ cell.from_x.weight.T).view(2, 3, HEADS, WIDTH).unbind(1)
    q, k = (a / torch.sqrt(a.norm(dim=-1, keepdim=True) ** 2 + 1e-6) for a in (q, k))
    rate = torch.sigmoid(x @ cell.from_x_rate.weight.T)[..., None, None]
    projected = torch.eye(WIDTH).double() - rate * torch.einsum("bha,bhc->bhac", k, k)
    new = S @ projected + rate * torch.einsum("bha,bhc->bhac", v, k)
    torch.testing.assert_close(cell(x, (S,)), (new,))
    torch.testing.assert_close(cell.output(x, (S,), (new,)), (new @ q[..., None]).flatten(1) / math.sqrt(WIDTH))


@oracle("DeltaNet")
def is_itself_all_at_once(DeltaNet):
    assert_parallel_is_the_step(DeltaNet, 10, heads=HEADS)


@oracle("DeltaNet")
def is_drawn_as_torch_draws_layers(DeltaNet):
    cell = DeltaNet(100, 64)
    assert cell.initial_state(torch.zeros(2, 100))[0].shape == (2, 4, 16, 16)
    for layer in (cell.from_x, cell.from_x_rate):
        assert layer.bias is None
        assert 0.095 < layer.weight.abs().max() <= 0.1


@oracle("DeltaNet")
def gives_the_authors_numbers(DeltaNet):
    """fla-org/flash-linear-attention fla/ops/delta_rule/naive.py @ bc3b101dcb, of silu and normalised queries and keys."""
    cell = set_weights(DeltaNet(3, 4, heads=2), from_x_weight=1, from_x_rate_weight=2)
    numbers = [
        -0.374070498769,
        0.116221129023,
        -0.623627479718,
        0.201312585912,
        -0.047476059621,
        0.069572043925,
        0.081232531419,
        -0.299382911269,
    ]
    assert_known(last_output(cell), numbers)
