"""Of a loss that reads every step: what of a gradient came in on the way, and what travelled."""

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.cell import State
from rnnvanish.probes.book import Run
from rnnvanish.probes.norms import from_the_end, norm


def injected(run: Run, total: list[State], passed: list[State]) -> Float[Tensor, " lags"] | None:
    """Measure the share of the gradient at each lag that came in at this very step, from 0 to 1.

    The total at step t is what came in there, plus what step t + 1 passes back: the gradient by the state as it read it.
    The share is that of the two norms, the mean over sequences.

    Args:
        run: The loop.
        total: The gradient by each of its states.
        passed: The gradient by each state as a step read it.

    Returns:
        None where the model changes states between steps: what is passed back is then not the gradient by the state.
    """
    if run.altered:
        return None
    whole, back = torch.stack(list(map(_flat, total))), torch.zeros_like(torch.stack(list(map(_flat, total))))
    for t, state in enumerate(passed[1:]):
        rows = _flat(state)
        back[t, : len(rows)] = rows
    came_in, travelled = (from_the_end(norm(part, dim=-1), run.ends) for part in (whole - back, back))
    share: Tensor = (came_in / (came_in + travelled)).nanmean(1)
    return share


def journey(run: Run, total: list[State]) -> list[State]:
    """Carry the gradient by each sequence's own last state back, without what comes in on the way."""
    rows = torch.arange(len(run.ends), device=run.ends.device)
    ends = [torch.stack(part)[run.ends, rows] for part in zip(*total, strict=True)]
    last = [(part, end) for part, end in zip(run.states[-1], ends, strict=True) if part.requires_grad]
    if not last:
        return [tuple(map(torch.zeros_like, state)) for state in run.states]
    # A sequence that has ended keeps its last state, so that the gradient by it is the one by the last of all.
    inside = [part for state in run.states for part in state if part.requires_grad]
    found = iter(
        torch.autograd.grad(
            [part for part, _ in last], inside, [end for _, end in last], retain_graph=True, materialize_grads=True
        )
    )
    return [tuple(next(found) if part.requires_grad else torch.zeros_like(part) for part in s) for s in run.states]


def _flat(state: State) -> Tensor:
    return torch.cat([part.double() for part in state], dim=-1)
