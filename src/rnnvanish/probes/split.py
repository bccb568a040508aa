"""Of a loss that reads every step: what of a gradient came in on the way, and what travelled."""

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.cell import State
from rnnvanish.probes import handed
from rnnvanish.probes.again import Series
from rnnvanish.probes.book import Run
from rnnvanish.probes.norms import from_the_end


def injected(came_in: Float[Tensor, "time sequences"], back: Tensor, ends: Tensor) -> Float[Tensor, " lags"]:
    """Measure the share of the gradient at each lag that came in at this very step, from 0 to 1.

    The total at step t is what came in there, plus what step t + 1 passes back: the gradient by the state as it read it.
    The share is that of the two norms, the mean over sequences.

    Args:
        came_in: Norms of what came in at each step.
        back: Norms of what the next step passes back.
        ends: Index of each sequence's own last step.
    """
    came, travelled = from_the_end(came_in, ends), from_the_end(back, ends)
    share: Tensor = (came / (came + travelled)).nanmean(1)
    return share


def journey(run: Run, end: State) -> Series:
    """Carry the gradient by each sequence's own last state back, without what comes in on the way."""
    if run.compiled:
        return handed.through_all(run, end)
    last = [(part, g) for part, g in zip(run.states[-1], end, strict=True) if part.requires_grad]
    if not last:
        return tuple(torch.stack(list(map(torch.zeros_like, parts))) for parts in zip(*run.states, strict=True))
    # A sequence that has ended keeps its last state, so that the gradient by it is the one by the last of all.
    inside = [part for state in run.states for part in state if part.requires_grad]
    found = iter(
        torch.autograd.grad(
            [part for part, _ in last], inside, [g for _, g in last], retain_graph=True, materialize_grads=True
        )
    )
    every = [tuple(next(found) if part.requires_grad else torch.zeros_like(part) for part in s) for s in run.states]
    return tuple(torch.stack(parts) for parts in zip(*every, strict=True))
