"""Attention over past states: a plain network where there is one, the mean where all fit alike, the past as a list."""

import math

import torch
from known_numbers import assert_known, last_output, set_weights
from oracle import drawn, oracle
from torch import nn


@oracle("AttentiveRNN")
def is_a_plain_network_where_it_sees_one_state(AttentiveRNN):
    cell, theirs = drawn(AttentiveRNN(3, 4, span=1)), nn.RNNCell(3, 4).double()
    with torch.no_grad():
        theirs.bias_hh.zero_()
        theirs.bias_ih.copy_(cell.from_x.bias)
        theirs.weight_ih.copy_(cell.from_x.weight)
        theirs.weight_hh.copy_(cell.from_s.weight)
    x, h = torch.randn(5, 2, 3).double(), torch.zeros(2, 4).double()
    state = cell.initial_state(x[0])
    for row in x:
        h, before, state = theirs(row, h), state, cell(row, state)
        torch.testing.assert_close(cell.output(row, before, state), h)


@oracle("AttentiveRNN")
def takes_the_mean_where_all_fit_alike(AttentiveRNN):
    cell, x = drawn(AttentiveRNN(3, 4, span=3)), torch.randn(6, 2, 3).double()
    with torch.no_grad():
        cell.key.weight.zero_()
    state, seen = cell.initial_state(x[0]), []
    for row in x:
        before, state = state, cell(row, state)
        seen = [cell.output(row, before, state), *seen][:3]
        torch.testing.assert_close(state[0], (seen[0] + sum(seen) / len(seen)) / 2)


@oracle("AttentiveRNN")
def attends_to_a_list_of_what_it_said(AttentiveRNN):
    """As the authors run it: the mixture is made when the next step begins, of a list that grows."""
    cell, x = drawn(AttentiveRNN(3, 4, span=9)), torch.randn(6, 2, 3).double()
    state, memory, s = cell.initial_state(x[0]), [], torch.zeros(2, 4).double()
    for row in x:
        if memory:
            past = torch.stack(memory)
            scores = torch.tanh((s @ cell.query.weight.T)[None] + past @ cell.key.weight.T) @ cell.score[0]
            s = 0.5 * (memory[-1] + torch.einsum("tb,tbh->bh", torch.softmax(scores, 0), past))
        memory.append(torch.tanh(cell.from_x(row) + s @ cell.from_s.weight.T))
        before, state = state, cell(row, state)
        torch.testing.assert_close(cell.output(row, before, state), memory[-1])


@oracle("AttentiveRNN")
def counts_whole_steps(AttentiveRNN):
    """What it attends to does not hang on how exactly they are counted."""
    cell, x = drawn(AttentiveRNN(3, 4, span=4)), torch.randn(2, 3).double()
    s, past = torch.randn(2, 4).double(), torch.randn(2, 4, 4).double()
    for steps in range(5):
        t = torch.full((2, 1), float(steps)).double()
        exact = cell(x, (s, past, t))[0]
        for off in (-0.01, 0.01):
            torch.testing.assert_close(cell(x, (s, past, t + off))[0], exact)


@oracle("AttentiveRNN")
def is_drawn_as_the_authors_draw(AttentiveRNN):
    cell = AttentiveRNN(100, 301)
    assert cell.initial_state(torch.zeros(2, 100))[1].shape == (2, 25, 301)
    turn = cell.from_s.weight.detach()
    torch.testing.assert_close(turn @ turn.T, torch.eye(301), rtol=0, atol=1e-5)
    sine, cosine = turn.diagonal(1)[::2], turn.diagonal()[:-1:2]
    angles = torch.atan2(sine, cosine)
    assert -math.pi <= angles.min() < -0.97 * math.pi
    assert -0.03 * math.pi < angles.max() <= 0
    assert not turn.diagonal(1)[1::2].any()
    torch.testing.assert_close(cell.from_x.weight.std().item(), math.sqrt(2 / 401), rtol=0.03, atol=0)
    torch.testing.assert_close(cell.score.std().item(), math.sqrt(2 / 302), rtol=0.15, atol=0)
    assert 0.09 < cell.from_x.bias.abs().max() <= 0.1
    for layer in (cell.query, cell.key):
        assert 0.99 * 301**-0.5 < layer.weight.abs().max() <= 301**-0.5
    for layer in (cell.from_s, cell.query, cell.key):
        assert layer.bias is None


@oracle("AttentiveRNN")
def gives_the_authors_numbers(AttentiveRNN):
    """MemRNN of bhargav104/MemoryNets RNN.py @ 9ae06bbbc9, with tanh."""
    cell = set_weights(
        AttentiveRNN(3, 4, span=9),
        from_x_weight=1,
        from_x_bias=2,
        from_s_weight=3,
        query_weight=4,
        key_weight=5,
        score=6,
    )
    numbers = [
        0.570688157483,
        0.901880336478,
        -0.989764352593,
        0.391825517673,
        0.986917289837,
        -0.077980304506,
        -0.914063581408,
        -0.101796677927,
    ]
    assert_known(last_output(cell), numbers)
