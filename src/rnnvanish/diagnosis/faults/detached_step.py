"""A step that reads its state without its history: the state counts in what comes out, and no gradient goes back through it.

A `detach()` in the step itself: the number is used, but how it came about is forgotten. The network still remembers. It
just can never learn *what* to remember.

    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(19, 16)

        def forward(self, x, h):
            return torch.tanh(self.linear(torch.cat([x, h.detach()], dim=-1)))

    class Loop(nn.Module):
        def __init__(self, step):
            super().__init__()
            self.step = step

        def forward(self, x):
            h = x.new_zeros(len(x), 16)
            for now in x.unbind(1):
                h = self.step(now, h)
            return h

    torch.manual_seed(0)
    x = torch.randn(4, 8, 3)
    print(*diagnose(Loop(Step()), x, cells=[Step], quick=True).findings)

The same step, which reads its state as it is:

    class Right(Step):
        def forward(self, x, h):
            return torch.tanh(self.linear(torch.cat([x, h], dim=-1)))

    print(diagnose(Loop(Right()), x, cells=[Right], quick=True).findings)
"""

import torch
from torch import Tensor

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.cell import State
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
    coordinates = Coordinates.of(run)
    rows = coordinates.rows(state)
    noise = [MOVED * torch.randn(row.shape, generator=generator).to(row) * row.abs().mean() for row in rows]
    moved = coordinates.state(tuple(map(torch.add, rows, noise)), coordinates.helpers(state))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one = _step(run, x, state)
        torch.manual_seed(0)
        other = _step(run, x, moved)
    return float((one - other).norm() / one.norm().clamp(min=1e-12))


def _step(run: Run, x: Tensor, state: State) -> Tensor:
    return torch.cat(Coordinates.of(run).rows(run.step(x, state)), -1)
