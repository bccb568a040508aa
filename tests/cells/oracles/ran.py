"""The recurrent additive network is torch's LSTM where its tanh is straight: near 0; and a weighted sum of its inputs."""

import torch
from oracle import assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn

SMALL = 1e-6


@oracle("RAN")
def is_torchs_where_tanh_is_straight(RAN):
    cell = drawn(RAN(3, 4))
    i, f, g = (gate(cell, name) for name in "ifg")
    theirs = torchs(nn.LSTMCell, i=i, f=f, g=tuple(SMALL * part for part in g), o=i)
    x, h, c = normal(3, 4, 4)
    expected = theirs(x, (h, SMALL * c))[1] / SMALL
    torch.testing.assert_close(cell(x, (h, c)), (torch.tanh(expected), expected))


@oracle("RAN")
def sums_what_it_read(RAN):
    cell = drawn(RAN(3, 4))
    i, f, g = (gate(cell, name) for name in "ifg")
    state, content, kept = cell.initial_state(torch.zeros(2, 3).double()), [], []
    for x in normal(*[3] * 6):
        content.append(torch.sigmoid(x @ i[0].T + state[0] @ i[1].T + i[2]) * (x @ g[0].T))
        kept.append(torch.sigmoid(x @ f[0].T + state[0] @ f[1].T + f[2]))
        state = cell(x, state)
    weights = [torch.stack([*kept[t + 1 :], torch.ones_like(x[:, :1]).expand(2, 4)]).prod(0) for t in range(6)]
    torch.testing.assert_close(state[1], sum(w * part for w, part in zip(weights, content, strict=True)))


@oracle("RAN")
def is_drawn_as_its_authors_do(RAN):
    cell = RAN(40, 25)
    assert_uniform(cell.from_x.weight, 0.05)
    assert_uniform(cell.from_h.weight, 0.05)
    assert not cell.from_h.bias.any()
    assert cell.from_x.bias is None
