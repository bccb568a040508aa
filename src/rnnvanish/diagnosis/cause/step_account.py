"""The account of the steps of one loop: through the cell by its traced step, met by what goes around the cell."""

from collections.abc import Callable

import torch
from torch import Tensor

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.backward.replay import InnermostCall, ReplayedSteps, in_precision, step_in_precision, vjp
from rnnvanish.cell import State
from rnnvanish.diagnosis.cause.account import PARTS, Flow, join, size
from rnnvanish.diagnosis.cause.traced_step import TracedStep
from rnnvanish.engine.step_form import RowStep
from rnnvanish.mitigation import innermost
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe.watch import Run

#: Roundings that the account of a step may differ by from its derivative.
TOLERANCE = 1e4
#: Why a step is not taken apart.
BRANCH = "it has a branch that depends on its numbers"
OTHER_GRADIENT = "its gradient is not that of what it computes (a no_grad or a backward of its own in it)"
OFTEN = "it is not called once a step"
UNTRACED = "it cannot be traced ({})"


class StepAccount:
    """What takes the steps of a loop apart; the step is traced once.

    Attributes:
        reason: Why that is not possible; empty as long as it is.
        kept: Of the last steps what is kept of each part of the state, row by row, see `TracedStep.account`.
    """

    def __init__(self, run: Run) -> None:
        self.reason, self.kept = "", dict[str, Tensor]()
        self._coordinates, self._run, self._cell = Coordinates.of(run), run, innermost(run.cell)
        self._traced: TracedStep | None = None
        #: Whether the innermost cell is all of a step.
        step = run.step.cell if isinstance(run.step, RowStep) else run.step
        self._bare = step is run.cell is self._cell

    @property
    def has_matrix(self) -> bool:
        """Whether the state is multiplied by a matrix anywhere."""
        return self._traced is None or self._traced.has_matrix

    def of(self, steps: ReplayedSteps) -> Flow | None:
        """Take the gradient of some steps back; None where that is not possible.

        Its value is that by the state before them, in coordinates.
        """
        if self.reason:
            return None
        try:
            found = self._whole(steps) if self._bare else self._with_surroundings(steps)
        except Exception as error:  # noqa: BLE001  # torch's own words for what cannot be traced are of many classes
            self.reason = BRANCH if "data-dependent" in str(error) else UNTRACED.format(_first_line(error))
            return None
        back = torch.cat(steps.backward.before, dim=-1)
        if not self.reason and not _alike(found.value, back):
            self.reason = OTHER_GRADIENT
        return None if self.reason else found

    def _whole(self, steps: ReplayedSteps) -> Flow:
        """Through a cell that is all of a step."""
        own, step = self._coordinates, step_in_precision(self._run)

        def of_memories(x: Tensor, memories: State, helpers: State) -> State:
            return own.meant(step(x, own.stored(memories, helpers)))

        before, gradient = own.shaped(steps.before), own.shaped(steps.backward.scaled)
        if self._traced is None:
            self._traced = TracedStep(of_memories, steps.x, before, steps.helpers)
        back, account, kept = self._traced.account(steps.x, before, steps.helpers, gradient)
        self.kept = dict(zip(own.names, kept, strict=True))
        return Flow(torch.cat(tuple(map(own.row, back, own.places)), dim=-1), account)

    def _with_surroundings(self, steps: ReplayedSteps) -> Flow:
        """Through a cell inside of others, or before a projection, and by what goes around it."""
        inner, gradient = steps.inner, steps.backward.scaled
        if inner.calls != 1:
            self.reason = OFTEN
        whole = Flow.start(torch.cat(gradient, dim=-1))
        into = vjp(steps.after, gradient, inner.after)
        entry = Flow.start(torch.cat(gradient, dim=-1)).becomes(_flat(into), "around")
        through = self._through_cell(inner, into, entry)
        out = vjp(inner.after, into, inner.before)
        if not _alike(through.value, _flat(tuple(out[place] for place in _memory_of(inner)))):
            self.reason = OTHER_GRADIENT
        back = torch.cat(steps.backward.before, dim=-1)
        flat = torch.cat(vjp(inner.before, out, steps.before), dim=-1)
        return join([through.becomes(flat, "around"), whole.becomes(back - flat, "around")])

    def _through_cell(self, inner: InnermostCall, gradient: State, entry: Flow) -> Flow:
        """Through the innermost cell; what it makes of its helpers is a value like others here."""
        places, parts = _memory_of(inner), len(inner.before)
        order = [*places, *(place for place in range(parts) if place not in places)]
        numbers = [place for place in order if is_number(gradient[place])]
        given = {name: value for name, value in inner.wanted.items() if value is not None}
        rest = (*(inner.before[place] for place in order[len(places) :]), *given.values())
        if self._traced is None:
            step: Callable[..., State] = in_precision(self._cell, inner.x.dtype.to_real())

            def in_order(x: Tensor, memory: State, others: State) -> State:
                state = dict(zip(order, (*memory, *others), strict=False))
                wanted = dict(zip(given, others[len(others) - len(given) :], strict=True))
                after = step(x, tuple(state[place] for place in range(parts)), **wanted)
                return tuple(after[place] for place in numbers)

            self._traced = TracedStep(in_order, inner.x, tuple(inner.before[p] for p in places), rest)
        before, passed = (tuple(inner.before[p] for p in places), tuple(gradient[p] for p in numbers))
        back, account, kept = self._traced.account(inner.x, before, rest, passed)
        self.kept = dict(zip((self._cell.state_names[place] for place in places), kept, strict=True))
        return Flow(_flat(back), {part: entry.account[part] + account[part] for part in PARTS})


def _memory_of(inner: InnermostCall) -> list[int]:
    """Which parts of the state of a cell a gradient goes back to: its helpers are constants of the run."""
    return [place for place, part in enumerate(inner.before) if part.requires_grad]


def _flat(parts: State) -> Tensor:
    return torch.cat([part.flatten(1) for part in parts], dim=-1)


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    """Whether they differ by no more than rounding."""
    tolerance = TOLERANCE * torch.finfo(theirs.dtype).eps
    rows = len(theirs)
    return bool((size(ours - theirs, rows) <= tolerance * size(theirs, rows).clamp(min=1)).all())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:120] or type(error).__name__
