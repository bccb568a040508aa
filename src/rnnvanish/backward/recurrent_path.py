"""Which path a gradient takes: through every step of the loop, or in at each step, from the loss and from other layers.

`recurrent_gradient` and `injected_gradient` replay the steps of a run; `journey_gradient` goes by the graph of one that ran
step by step; `injected_share` takes norms.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rnnvanish.backward.replay import Replay, Series, real_step, replay_all
from rnnvanish.cell import State
from rnnvanish.engine.reference import Step, padding
from rnnvanish.numerics.norms import align_ends
from rnnvanish.observe.checks import require_unaltered
from rnnvanish.observe.watch import Run


def recurrent_gradient(run: Run, end: State) -> Series:
    """Backpropagate a gradient by the last states through every step of a loop, and by no other path.

    Args:
        run: The loop.
        end: The gradient of each sequence's own last state, (sequences, size) for each part.

    Returns:
        The gradient by every state along this path, (time, sequences, size) for each part; 0 beyond a sequence's end.
    """
    require_unaltered(run)
    step, ends, before = real_step(run), run.ends, Replay(run).before
    steps: list[State] = [()] * len(run.states)
    gradient = tuple(torch.zeros_like(part) for part in end)
    for t in range(len(run.states) - 1, -1, -1):
        gradient = tuple(torch.where((ends == t)[:, None], new, old) for new, old in zip(end, gradient, strict=True))
        steps[t] = gradient
        if t > 0:
            back = _vjp(step, run.x[t].detach(), tuple(part[t].clone().requires_grad_() for part in before), gradient)
            gradient = tuple(torch.where((ends < t)[:, None], 0.0, part) for part in back)
    return tuple(torch.stack(parts) for parts in zip(*steps, strict=True))


def _vjp(step: Step, x: Tensor, before: State, gradient: State) -> State:
    with torch.enable_grad():
        after = step(x, before)
    reached = [(part, g) for part, g in zip(after, gradient, strict=True) if part.requires_grad]
    found = torch.autograd.grad([part for part, _ in reached], before, [g for _, g in reached], allow_unused=True)
    return tuple(torch.zeros_like(part) if g is None else g for part, g in zip(before, found, strict=True))


def injected_gradient(run: Run, gradients: Series) -> Series:
    """The part of every state's gradient that did not come back through the loop's own next step.

    It came in at this very step: from the loss, from a layer above, from attention that reads this state.

    Args:
        run: The loop.
        gradients: The total gradient of every state.
    """
    require_unaltered(run)
    beyond = padding(len(run.states), run.ends + 1)[..., None]  # there the last state stands still, and has a gradient
    came_in = tuple(part.masked_fill(beyond, 0.0) for part in gradients)
    for steps in replay_all(run):
        back = steps.vjp(steps.rows_of(gradients), steps.before)
        inside = steps.step > 0
        for part, passed in zip(came_in, back, strict=True):
            part[steps.step[inside] - 1, steps.sequence[inside]] -= passed[inside]
    return came_in


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
