"""A step that reads its state without its history: the state counts in what comes out, and no gradient goes back through it."""

import torch
from torch import Tensor

from rnnvanish.diagnosis.fault import ARRIVING, Symptom, arriving, module_of
from rnnvanish.diagnosis.rerun.history import keep_history
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

#: How far a state is moved, of the size of its numbers, and the change from which on a step answers to it.
MOVED, ANSWERS = 0.1, 1e-4


def detached_step(run: Run, total: Series) -> Symptom | None:
    """See whether nothing of the gradient passes the last step, although what the step gives changes with its state."""
    last = len(run.states) - 1
    if last < 1 or run.compiled_calls or not bool((run.ends == last).all()):
        return None
    norms = torch.cat(total, dim=-1).norm(dim=-1)
    if not bool((norms[last] > 0).any()) or bool(norms[last - 1].any()):
        return None
    answer = _answer(run)
    if answer < ANSWERS:
        return None
    return Symptom(
        "detached within the step",
        module_of(run),
        f"A step changes by {100 * answer:.2g} % of its size where the state that it reads is moved by {100 * MOVED:.0f} %, but "
        "no gradient goes back through it: the step leaves its history behind, or rounds it.",
        "Leave detach(), .data, no_grad() and rounding out of the step, or round straight through: "
        "h + (h.round() - h).detach().",
        ARRIVING,
        arriving(run, total),
        arriving,
        keep_history,
        exact=True,
    )


@torch.no_grad()
def _answer(run: Run) -> float:
    """How far a step's new state moves with the state that it reads, over its size."""
    generator = torch.Generator().manual_seed(0)
    x, state = run.x[-1].detach(), tuple(part.detach() for part in run.states[-2])
    noise = [MOVED * torch.randn(part.shape, generator=generator).to(part) * part.abs().mean() for part in state]
    moved = tuple(part + each for part, each in zip(state, noise, strict=True))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one = torch.cat(_step(run, x, state), -1)
        torch.manual_seed(0)
        other = torch.cat(_step(run, x, moved), -1)
    return float((one - other).norm() / one.norm().clamp(min=1e-12))


def _step(run: Run, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(run.step(x, state))
