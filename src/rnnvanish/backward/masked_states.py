"""Masked states, which the model changes between steps: the gradient by the state that it carries on, not by what a step returned.

A mask is the common case, hₜ = m oₜ + (1 − m) hₜ₋₁ for what the step returned, oₜ: it holds sequences that have ended, or
lets a unit rest. The old state then passes the step by, and the gradient by oₜ alone says nothing of that way.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from rnnvanish.backward.state_gradients import Source, Tensors, differentiate
from rnnvanish.cell import State
from rnnvanish.observe.carry import distinct_gradient
from rnnvanish.observe.checks import Unmeasurable
from rnnvanish.observe.record import Run

HIDDEN_CHANGE = (
    "The model changes the state of {} between one call and the next, and leads the old state past the call: how much "
    "cannot be seen from outside where a call takes several steps, or fewer sequences than the one before. Put what happens "
    "between steps into the step, a module of its own, (x, state) -> state, and name it: cells=[...]."
)


def masked_gradients(run: Run, source: Source, total: list[State]) -> tuple[Run, list[State]] | None:
    """Find the gradient by the states that a model carries from step to step, if some of the old state passes the step by.

    All but the last are seen: they are what the next step receives. Of a mask the gradient by hₜ is what comes to oₜ and
    to hₜ₋₁ past the next step, together. Where that is so for all others it is taken for the last; else the last is left
    out, and the sequence ends with the state before.

    Args:
        run: A loop that the model alters.
        source: What the gradient starts from.
        total: The gradient by each state as a step returned it.

    Returns:
        The loop, whose sequences end where the model holds them from then on, and the gradients; None where no state
        passes a step by, so that those by what the step returned are all there is.

    Raises:
        ValueError: Of a layer that is called with several steps, or on fewer sequences as they end.
    """
    if not any(bool(part.any()) for state in total for part in state) or not _bypasses_steps(run):
        return None
    if run.flatten is None or any(
        len(part) != len(run.ends) for state in run.received_states[1:] for part in run.flatten(state)
    ):
        raise Unmeasurable(HIDDEN_CHANGE.format(run.name))
    found = differentiate(source, [*run.received_states, *run.consumed_states])
    came, through = ([run.flatten(part) for part in half] for half in (found[: len(total)], found[len(total) :]))
    masked = [
        tuple(o + whole - part for o, whole, part in zip(*each, strict=True))
        for each in zip(total[1:], came[1:], through[1:], strict=True)
    ]
    lengths = _lengths_until_held(run, run.flatten, total[-1])
    if any(_differ(one, other) for one, other in zip(came[2:], masked[:-1], strict=True)):
        ends = replace(run, x=run.x[:-1], states=run.states[:-1], lengths=lengths.clamp(max=len(total) - 1))
        return ends, came[1:]
    return replace(run, lengths=lengths), [*came[1:], masked[-1]]


def _bypasses_steps(run: Run) -> bool:
    """Whether any way leads from a state that is carried on to a later one, but through a step."""
    received = [part for state in run.received_states[1:] for part in state if part.requires_grad]
    sent = list(map(distinct_gradient, received))
    with run.gradient_stop.engaged():
        found = torch.autograd.grad(received, received, sent, retain_graph=True)
    return any(not came.equal(each) for came, each in zip(found, sent, strict=True))


def _differ(one: Tensors, other: Tensors) -> bool:
    """Whether two gradients differ by more than rounding."""
    pairs = list(zip(one, other, strict=True))
    size = max((float(a.norm()) for a, _ in pairs), default=0.0)
    return any(float((a - b).norm()) > torch.finfo(a.dtype).eps ** 0.5 * size for a, b in pairs)


def _lengths_until_held(run: Run, flatten: Callable[[Tensors], State], last: State) -> Tensor:
    """Steps of each sequence before it is held for good: its state stays, whatever the step returns."""
    states = [_side_by_side(flatten(state)) for state in run.received_states[1:]]
    returned = list(map(_side_by_side, run.states))
    held = [
        (now == before).all(-1) & (now != new).any(-1)
        for before, now, new in zip(states, states[1:], returned[1:], strict=False)
    ]
    held.append(~_side_by_side(last).any(-1))  # the last is never passed on: then the loss reads what was before
    return len(run.states) - torch.stack(held).flip(0).cumprod(0).sum(0)


def _side_by_side(state: State) -> Tensor:
    """All numbers of a state, a row for each sequence."""
    return torch.cat([part.detach().flatten(1) for part in state], dim=-1)
