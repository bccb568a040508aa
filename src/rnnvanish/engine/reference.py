"""The plain Python loop over time: the oracle of every faster engine, and what the probes watch."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Inexact, Int
from torch import Tensor

from rnnvanish.cell import State

Step = Callable[[Tensor, State], State]


def plain_loop(
    step: Step,
    x: Inexact[Tensor, "time batch input"],
    state: State,
    lengths: Int[Tensor, " batch"] | None = None,
) -> list[State]:
    """Run `step` over time.

    Returns:
        The state after each step. A sequence that has ended keeps its last state.

    Raises:
        ValueError: For a step that does not return as many parts of the state as it is given.
    """
    ended = None if lengths is None else padding_mask(len(x), lengths).unbind(0)
    states = []
    # unbind, not x[t]: the backward of an index costs as much as the whole of x, at every step.
    for t, now in enumerate(x.unbind(0)):
        new = require_parts(step(now, state), state)
        if ended is not None:
            new = tuple(keep_ended(ended[t], old, fresh) for old, fresh in zip(state, new, strict=True))
        state = new
        states.append(state)
    return states


def require_parts(after: State | Tensor, before: State) -> State:
    """Return the state after a step, where it has as many parts as the one before; else a ValueError."""
    if isinstance(after, Tensor) or len(after) != len(before):
        got = "a tensor" if isinstance(after, Tensor) else len(after)
        raise ValueError(f"A step needs to return a tuple of the {len(before)} part(s) of its state, got {got}.")
    return after


def keep_ended(ended: Bool[Tensor, " batch"], old: Tensor, new: Tensor) -> Tensor:
    """Of sequences that have ended the old part of a state, of the others the new one, whatever axes it has."""
    return torch.where(ended.view(-1, *[1] * (new.dim() - 1)), old, new)


def padding_mask(time: int, lengths: Int[Tensor, " batch"]) -> Tensor:
    """Which of `time` steps lie beyond each sequence's end, shape (time, batch)."""
    return torch.arange(time, device=lengths.device)[:, None] >= lengths
