"""Of a loss that reads every step: the share of the gradient that comes in at each step, and what the end alone sends back."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rnnvanish.backward.replay import Series
from rnnvanish.numerics.norms import align_ends
from rnnvanish.observe.record import Run


def injected_share(came_in: Float[Tensor, "time sequences"], back: Tensor, ends: Tensor) -> Float[Tensor, " lags"]:
    """Measure the share of the gradient at each lag that came in at this very step, from 0 to 1.

    The total at step t is what came in there, plus what step t + 1 passes back: the gradient by the state as it read it.
    The share is that of the two norms, the mean over sequences.

    Args:
        came_in: Norms of what came in at each step.
        back: Norms of what the next step passes back.
        ends: Index of each sequence's own last step.
    """
    came, passed = align_ends(came_in, ends), align_ends(back, ends)
    share: Tensor = (came / (came + passed)).nanmean(1)
    return share


def journey_gradient(run: Run, total: Series, at: Bool[Tensor, "time sequences"]) -> Series:
    """Backpropagate the gradient by some states, such as each sequence's own last, without what comes in at other steps.

    Args:
        run: The loop.
        total: The gradient by every state.
        at: Which of them.
    """
    last = [
        (part, torch.where(at[t, :, None], gradient[t], 0.0))
        for t in at.any(1).nonzero().flatten().tolist()
        for part, gradient in zip(run.states[t], total, strict=True)
        if part.requires_grad
    ]
    if not last:
        return tuple(torch.stack(list(map(torch.zeros_like, parts))) for parts in zip(*run.states, strict=True))
    inside = [part for state in run.states for part in state if part.requires_grad]
    ends, sent = zip(*last, strict=True)
    found = iter(torch.autograd.grad(ends, inside, sent, retain_graph=True, materialize_grads=True))
    every = [tuple(next(found) if part.requires_grad else torch.zeros_like(part) for part in s) for s in run.states]
    return tuple(torch.stack(parts) for parts in zip(*every, strict=True))
