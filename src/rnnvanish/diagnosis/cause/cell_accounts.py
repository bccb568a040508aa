"""The way back through one step of each cell that is taken apart, written as flows.

Every function takes the gradients of the state after the step and what the cell did, and returns the gradients of the
state before it, in the order of the state's parts, each with its account: the cell's backward pass, equation by
equation. Factors are of two kinds: a *gate* is a value that something is multiplied by, a *slope* the derivative of a
sigmoid, tanh or ReLU.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnnvanish.backward.replay import InnermostCall
from rnnvanish.cells import GRU, LSTM, Elman
from rnnvanish.diagnosis.cause.account import Flow, beside, join


def elman(gradient: list[Flow], inner: InnermostCall) -> Flow:
    """h ← φ(a): a step back is Uᵀ diag(φ′)."""
    assert isinstance(inner.cell, Elman)
    a = inner.sums["from_x"].detach() + inner.sums["from_h"].detach()
    return gradient[0].times(slope(inner.cell.nonlinearity, a), "slopes").through(recurrent(inner))


def lstm(gradient: list[Flow], inner: InnermostCall) -> Flow:
    """c ← f c + i g, h ← o tanh(c): along c by the forget gate, along h by everything else."""
    a = (inner.sums["from_x"] + inner.sums["from_h"]).detach().chunk(4, dim=-1)
    i, f, o, g = a[0].sigmoid(), a[1].sigmoid(), a[3].sigmoid(), a[2].tanh()
    before, after = inner.before[1].detach(), inner.after[1].detach().tanh()
    of_h, of_c = gradient
    cell = join(of_c, of_h.times(o, "gates").times(1 - after.square(), "slopes"))
    sums = beside(
        cell.times(g, "gates").times(i * (1 - i), "slopes"),
        cell.times(before, "gates").times(f * (1 - f), "slopes"),
        cell.times(i, "gates").times(1 - g.square(), "slopes"),
        of_h.times(after, "gates").times(o * (1 - o), "slopes"),
    )
    return beside(sums.through(recurrent(inner)), cell.times(f, "gates"))


def gru(gradient: list[Flow], inner: InnermostCall) -> Flow:
    """h ← (1 − z) n + z h: by the update gate directly, and by the recurrent weights of r, z and n."""
    (xr, xz, xn), (hr, hz, hn) = (inner.sums[name].detach().chunk(3, dim=-1) for name in ("from_x", "from_h"))
    r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
    n = (xn + r * hn).tanh()
    (of_h,) = gradient
    candidate = of_h.times(1 - z, "gates").times(1 - n.square(), "slopes")
    sums = beside(
        candidate.times(hn, "gates").times(r * (1 - r), "slopes"),
        of_h.times(inner.before[0].detach() - n, "gates").times(z * (1 - z), "slopes"),
        candidate.times(r, "gates"),
    )
    return join(of_h.times(z, "gates"), sums.through(recurrent(inner)))


#: How a step back goes, for the cells that are taken apart.
FLOWS: dict[type[nn.Module], Callable[[list[Flow], InnermostCall], Flow]] = {Elman: elman, LSTM: lstm, GRU: gru}


def recurrent(inner: InnermostCall) -> Callable[[Tensor], Tensor]:
    """The way back through the recurrent layer, whatever it is made of (weights with a mask, normalised ones)."""
    return lambda value: torch.autograd.grad(inner.sums["from_h"], inner.before[0], value, retain_graph=True)[0]


def slope(function: Callable[[Tensor], Tensor], a: Tensor) -> Tensor:
    """The derivative of a function of each number."""
    with torch.enable_grad():
        a = a.detach().requires_grad_()
        derivative: Tensor = torch.autograd.grad(function(a).sum(), a)[0]
    return derivative
