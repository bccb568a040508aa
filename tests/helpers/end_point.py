"""Gains from one end point by hand: plain loops over time, in double precision, and one call of autograd. Nothing of the package.

A state is what step t hands to step t + 1, each part a coordinate of its own: the copy of c that goes on is not the c that h is
made of. What layers above read is the copy of h.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], State]
#: A sequence of a loop: its row, and its first and last step in the order in which the loop runs.
Sequences = Iterable[tuple[int, int, int]]


def step_of(layer: nn.RNNBase | nn.RNNCellBase, suffix: str = "_l0", **instead: Tensor) -> Step:
    """One step of a layer of torch, gate by gate, with the weights whose names end in `suffix`; of a cell that is ""."""
    names = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
    w, u, b, r = (instead.get(name, getattr(layer, name + suffix)).detach().double() for name in names)

    def lstm(x: Tensor, state: State) -> State:
        i, f, g, o = (x @ w.T + b + state[0] @ u.T + r).chunk(4, -1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def gru(x: Tensor, state: State) -> State:
        (a,) = state
        from_x, from_h = (x @ w.T + b).chunk(3, -1), (a @ u.T + r).chunk(3, -1)
        reset, update = (from_x[0] + from_h[0]).sigmoid(), (from_x[1] + from_h[1]).sigmoid()
        return ((1 - update) * (from_x[2] + reset * from_h[2]).tanh() + update * a,)

    def elman(x: Tensor, state: State) -> State:
        return ((x @ w.T + b + state[0] @ u.T + r).tanh(),)

    return (
        lstm if isinstance(layer, nn.LSTM | nn.LSTMCell) else gru if isinstance(layer, nn.GRU | nn.GRUCell) else elman
    )


def run(step: Step, x: Tensor, first: State, lengths: Tensor | None = None, reverse: bool = False) -> list[State]:
    """The state after each step of x (time, batch, features), in the order in which it runs; it rests in the padding."""
    states, state = [], tuple(part if part.requires_grad else part.clone().requires_grad_() for part in first)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        new = step(x[t], state)
        if lengths is not None:
            new = tuple(torch.where((t < lengths)[:, None], a, b) for a, b in zip(new, state, strict=True))
        state = tuple(part.clone() for part in new)
        states.append(state)
    return states


def outputs(states: Sequence[State], reverse: bool = False) -> Tensor:
    """What a layer returns, (time, batch, size)."""
    return torch.stack([state[0] for state in (reversed(states) if reverse else states)])


def both_ways(layer: nn.RNNBase, x: Tensor, lengths: Tensor | None = None, number: int = 0) -> tuple[Tensor, ...]:
    """A bidirectional layer: what it returns, (time, batch, 2 size), and the states of either direction."""
    parts = 2 if isinstance(layer, nn.LSTM) else 1
    zero = tuple(x.new_zeros(x.shape[1], layer.hidden_size) for _ in range(parts))
    forth = run(step_of(layer, f"_l{number}"), x, zero, lengths)
    back = run(step_of(layer, f"_l{number}_reverse"), x, zero, lengths, reverse=True)
    return torch.cat([outputs(forth), outputs(back, reverse=True)], -1), forth, back


def whole(states: Sequence[State], lengths: Tensor | None = None, reverse: bool = False) -> list[tuple[int, int, int]]:
    """Each row as one sequence, as long as `lengths` says."""
    time, batch = len(states), len(states[0][0])
    ends = [time] * batch if lengths is None else lengths.tolist()
    return [(row, time - end, time - 1) if reverse else (row, 0, end - 1) for row, end in enumerate(ends)]


def only(gradient: Tensor, steps: Tensor) -> Tensor:
    """A gradient (time, batch, ...), of which each row is left at its own step alone."""
    left = torch.zeros_like(gradient)
    rows = torch.arange(len(steps))
    left[steps, rows] = gradient[steps, rows]
    return left


def by_output(loss: Callable[[Tensor], Tensor], output: Tensor) -> Tensor:
    """dL/d output."""
    leaf = output.detach().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0]


def gains(
    output: Tensor | Sequence[Tensor],
    gradient: Tensor | Sequence[Tensor],
    states: Sequence[State],
    sequences: Sequences,
) -> Tensor:
    """Gain at each lag of a loop, where `gradient` alone arrives at `output`, one or several.

    Each sequence counts from its own end, and over its own norm there. Of all that reach back so far the geometric mean;
    a sequence at whose end nothing arrives is left out.
    """
    parts = [part for state in states for part in state]
    found = iter(torch.autograd.grad(output, parts, gradient, retain_graph=True, allow_unused=True))
    every = [[next(found) for _ in state] for state in states]
    norms = []
    for state, row in zip(states, every, strict=True):
        known = [torch.zeros_like(part) if g is None else g for part, g in zip(state, row, strict=True)]
        norms.append(torch.cat(known, -1).norm(dim=-1))
    curves = [
        [float(norms[t][row] / norms[last][row]) for t in range(last, first - 1, -1)]
        for row, first, last in sequences
        if norms[last][row] > 0
    ]
    lags = range(max(map(len, curves)))
    means = [torch.tensor([curve[lag] for curve in curves if lag < len(curve)], dtype=torch.float64) for lag in lags]
    return torch.stack([mean.log().mean().exp() for mean in means])


def assert_same_gains(curves: Mapping[str, Any], gains: Mapping[str, Tensor]) -> None:
    """Hold the curves of every loop of a model against these."""
    assert set(curves) == set(gains)
    for name, gain in gains.items():
        torch.testing.assert_close(
            curves[name].gain, gain, rtol=1e-6, atol=0, msg=lambda said, name=name: f"{name}: {said}"
        )
