"""Which path a gradient takes: through every step of the loop, or in at each step, from the loss and from other layers.

`recurrent_gradient` and `subtract_passed_back` replay the steps of a run; `journey_gradient` goes by the graph of one that ran
step by step.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.backward.replay import RealStep, Replay, ReplayedSteps, real_step, recorded_states
from rnnvanish.cell import State
from rnnvanish.engine.reference import padding_mask
from rnnvanish.numerics.norms import joint_norm
from rnnvanish.observe import compiled_loops
from rnnvanish.observe.checks import require_unaltered
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

#: Roundings of a gradient's length by which two ways to compute one step back may differ.
ROUNDINGS = 16


def recurrent_gradient(run: Run, end: State) -> Series:
    """Backpropagate a gradient by the last states through every step of a loop, and by no other path.

    Args:
        run: The loop.
        end: The gradient of each sequence's own last state, (sequences, size) for each part.

    Returns:
        The gradient by every state along this path, (time, sequences, size) for each part; 0 beyond a sequence's end.
    """
    require_unaltered(run)
    if run.compiled_calls:
        coordinates, after = Coordinates.of(run), recorded_states(run)[1]
        rows = torch.arange(len(run.ends), device=run.ends.device)
        own = coordinates.gradient_parts(end, tuple(part[run.ends, rows] for part in after))
        found = compiled_loops.backward_through_loop(run, own)
        return inside_sequences(run, coordinates.gradient_rows(found, after))
    step, ends, replay = real_step(run), run.ends, Replay(run)
    steps: list[State] = [()] * len(run.states)
    gradient = tuple(torch.zeros_like(part) for part in end)
    for t in range(len(run.states) - 1, -1, -1):
        gradient = tuple(torch.where((ends == t)[:, None], new, old) for new, old in zip(end, gradient, strict=True))
        steps[t] = gradient
        if t > 0:
            before = tuple(part[t].clone().requires_grad_() for part in replay.before)
            helpers = tuple(part[t] for part in replay.helpers)
            back = _vjp(step, run.x[t].detach(), before, helpers, gradient)
            gradient = tuple(torch.where((ends < t)[:, None], 0.0, part) for part in back)
    return tuple(torch.stack(parts) for parts in zip(*steps, strict=True))


def _vjp(step: RealStep, x: Tensor, before: State, helpers: State, gradient: State) -> State:
    with torch.enable_grad():
        after = step(x, before, helpers)
    reached = [(part, g) for part, g in zip(after, gradient, strict=True) if part.requires_grad]
    found = torch.autograd.grad([part for part, _ in reached], before, [g for _, g in reached], allow_unused=True)
    return tuple(torch.zeros_like(part) if g is None else g for part, g in zip(before, found, strict=True))


def inside_sequences(run: Run, gradients: Series) -> Series:
    """A copy of gradients that is zero in the padding, where the last state stands still and has one."""
    require_unaltered(run)
    beyond = padding_mask(len(run.x), run.ends + 1)[..., None]
    return tuple(part.masked_fill(beyond, 0.0) for part in gradients)


def subtract_passed_back(gradients: Series, steps: ReplayedSteps) -> None:
    """Subtract from the gradient by every state, in place, what came back through the loop's own next step.

    What is left after all steps came in at each: from the loss, from a layer above, from attention that reads the state.
    Where no more than rounding would be left, nothing is: of a gradient that explodes even that were much.
    """
    inside = steps.step > 0
    at = steps.step[inside] - 1, steps.sequence[inside]
    scale = steps.backward.scale[inside, None]
    passed = [part[inside] * scale.to(part.dtype) for part in steps.backward.before]
    left = [part[at] - back for part, back in zip(gradients, passed, strict=True)]
    rounding = ROUNDINGS * torch.finfo(passed[0].dtype).eps * _row_sizes(passed)
    told_apart = (_row_sizes(left) > rounding)[:, None]
    for part, rest in zip(gradients, left, strict=True):
        part[at] = torch.where(told_apart, rest, 0.0)


def _row_sizes(parts: Sequence[Tensor]) -> Tensor:
    return joint_norm([torch.linalg.vector_norm(part.double(), dim=-1) for part in parts])


def journey_gradient(run: Run, total: Series, at: Bool[Tensor, "time sequences"]) -> Series:
    """Backpropagate the gradient by some states, such as each sequence's own last, without what comes in at other steps.

    Args:
        run: The loop.
        total: The gradient by every state.
        at: Which of them.
    """
    last = [
        (part, torch.where(_beside(at[t], part), gradient[t], 0.0))
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


def _beside(rows: Tensor, part: Tensor) -> Tensor:
    """One of each sequence, of as many axes as a part of the state has."""
    return rows.view(-1, *[1] * (part.dim() - 1))
