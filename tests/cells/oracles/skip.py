"""Skip RNN is torch's gated recurrent unit over the steps that it takes, and where one is taken is known beforehand."""

import math

import torch
from oracle import assert_ends, at_the_ends_of_draws, drawn, oracle
from torch import nn


def built(SkipRNN, delta):
    """A cell whose δ is always the same, and whose reset can be before or after the product, which is of each unit."""
    cell = drawn(SkipRNN(3, 4))
    with torch.no_grad():
        cell.from_reset.weight.mul_(torch.eye(4))
        cell.to_delta.weight.zero_()
        cell.to_delta.bias.fill_(math.log(delta / (1 - delta)))
    return cell


def torchs(cell):
    theirs = nn.GRU(3, 4).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(cell.from_x.weight)
        theirs.bias_ih_l0.copy_(cell.from_x.bias)
        theirs.weight_hh_l0.copy_(torch.cat([cell.from_h.weight, cell.from_reset.weight]))
        theirs.bias_hh_l0.zero_()
    return theirs


def states(cell, x, state):
    """The part h after each step, and the last state."""
    found = []
    for now in x:
        state = cell(now, state)
        found.append(state[0])
    return torch.stack(found), state


@oracle("SkipRNN")
def is_torchs_over_the_steps_that_it_takes(SkipRNN):
    for delta, taken in ((0.9, range(12)), (0.3, range(0, 12, 2)), (0.2, range(0, 12, 3)), (0.01, (0,))):
        cell, x, h = built(SkipRNN, delta), torch.randn(12, 2, 3).double(), torch.randn(2, 4).double()
        _, *rest = cell.initial_state(x[0])
        found, _ = states(cell, x, (h, *rest))
        expected = torchs(cell)(x[list(taken)], h[None])[0]
        last = torch.tensor([sum(step <= t for step in taken) - 1 for t in range(12)])
        torch.testing.assert_close(found, expected[last])


@oracle("SkipRNN")
def adds_up_until_more_than_a_half(SkipRNN):
    cell, x = built(SkipRNN, 0.25), torch.randn(4, 1, 3).double()
    state, found = cell.initial_state(x[0]), []
    for now in x:
        state = cell(now, state)
        found.append([state[1].item(), state[2].item()])
    torch.testing.assert_close(found, [[0.25, 0.0], [0.25, 0.25], [0.25, 0.5], [0.25, 0.0]])  # a half is not enough
    _, delta, total = cell(x[0], (state[0], torch.tensor([[0.8]]).double(), torch.tensor([[0.4]]).double()))
    torch.testing.assert_close((delta.item(), total.item()), (0.25, 0.0))  # and no more than 1
    _, delta, _ = cell(x[0], (state[0], torch.tensor([[1.9]]).double(), torch.tensor([[0.4]]).double()))
    torch.testing.assert_close(delta.item(), 0.25)


@oracle("SkipRNN")
def has_a_delta_that_reads_the_candidate(SkipRNN):
    cell, x, h = drawn(SkipRNN(3, 4)), torch.randn(1, 2, 3).double(), torch.randn(2, 4).double()
    with torch.no_grad():
        cell.from_reset.weight.mul_(torch.eye(4))
    _, *rest = cell.initial_state(x[0])
    _, delta, _ = cell(x[0], (h, *rest))
    torch.testing.assert_close(delta, cell.to_delta(torchs(cell)(x, h[None])[0][0]).sigmoid())


@oracle("SkipRNN")
def counts_backwards_as_if_it_did_not_round(SkipRNN):
    """dh/dv is what a step changes, and of ũ nothing is left but through v."""
    for start, taken in ((0.2, 0.0), (0.7, 1.0)):
        cell, x, h = built(SkipRNN, 0.4), torch.randn(2, 3).double(), torch.randn(2, 4).double()
        delta, total = torch.full((2, 1), 0.1).double(), torch.full((2, 1), start - 0.1).double().requires_grad_()
        new_h, new_delta, new_total = cell(x, (h, delta, total))
        change = torchs(cell)(x[None], h[None])[0][0] - h
        for value, slope in (
            (new_h, change.sum(-1, keepdim=True)),
            (new_delta, torch.full((2, 1), 0.3).double()),
            (new_total, torch.full((2, 1), 1 - taken - start).double()),
        ):
            (found,) = torch.autograd.grad(value.sum(), total, retain_graph=True)
            torch.testing.assert_close(found, slope)


@oracle("SkipRNN")
def has_the_draws_of_the_authors_code(SkipRNN):
    gates, candidate, delta = ((6 / fans) ** 0.5 for fans in (1 + 2 + 4, 1 + 2 + 2, 2 + 1))
    assert_ends(lambda: SkipRNN(1, 2), from_h_weight=gates, from_reset_weight=candidate, to_delta_weight=delta)
    for end, cell in zip((-1, 1), at_the_ends_of_draws(lambda: SkipRNN(1, 2)), strict=True):
        expected = torch.tensor([gates] * 4 + [candidate] * 2) * end
        torch.testing.assert_close(cell.from_x.weight[:, 0], expected)
    cell = SkipRNN(1, 2)
    assert cell.from_x.bias.tolist() == [1.0] * 4 + [0.0] * 2
    assert cell.to_delta.bias.tolist() == [1.0]
    assert cell.from_h.bias is cell.from_reset.bias is None
    assert [part.unique().tolist() for part in cell.initial_state(torch.zeros(2, 1))] == [[0.0], [1.0], [0.0]]
