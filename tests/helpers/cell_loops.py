"""One step of torch's cells written again, and the gradient by every state that a loop of them has."""

from functools import partial

import torch
from torch import nn
from torch.nn.functional import linear

TIME, BATCH, INPUT, HIDDEN = 7, 3, 2, 4
same = partial(torch.testing.assert_close, rtol=1e-11, atol=1e-12)


def by_hand(cell, x, state):
    """One step of torch's cells, from its documentation; the state is a list of tensors."""
    a, b = linear(x, cell.weight_ih, cell.bias_ih), linear(state[0], cell.weight_hh, cell.bias_hh)
    if isinstance(cell, nn.LSTMCell):
        i, f, g, o = (a + b).chunk(4, -1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return [o.sigmoid() * c.tanh(), c]
    if isinstance(cell, nn.GRUCell):
        (ar, az, an), (br, bz, bn) = a.chunk(3, -1), b.chunk(3, -1)
        z = (az + bz).sigmoid()
        return [(1 - z) * (an + (ar + br).sigmoid() * bn).tanh() + z * state[0]]
    return [(a + b).relu() if cell.nonlinearity == "relu" else (a + b).tanh()]


class Zeros:
    """A zero added to a state after a step: the gradient of the zero is the one asked for."""

    def __init__(self):
        self.steps = []

    def add(self, state):
        zeros = [torch.zeros_like(part).requires_grad_() for part in state]
        self.steps.append(zeros)
        return [part + zero for part, zero in zip(state, zeros, strict=True)]

    def gradients(self, loss):
        """(time, batch, whole state)."""
        flat = [zero for zeros in self.steps for zero in zeros]
        found = iter(torch.autograd.grad(loss, flat, materialize_grads=True, retain_graph=True))
        return torch.stack([torch.cat([next(found) for _ in zeros], -1) for zeros in self.steps])

    def gain(self, loss):
        norms = self.gradients(loss).norm(dim=-1).flip(0)
        return (norms / norms[0]).log().reshape(len(norms), -1).mean(1).exp()
