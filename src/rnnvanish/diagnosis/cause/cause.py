"""Why a layer keeps or loses its gradient: what each step back does to it, part by part, and the sum is exact."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.gate_values import kept_by_gate
from rnnvanish.backward.loss import Loss
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.backward.replay import InnermostCall, ReplayedSteps, UnrepeatableStep, vjp
from rnnvanish.cell import Cell, Keeps, State
from rnnvanish.diagnosis.cause.account import PARTS, Flow, join, log_ratio
from rnnvanish.diagnosis.cause.explanation import explanation
from rnnvanish.diagnosis.cause.step_account import step_account
from rnnvanish.diagnosis.faults.absurd_input import absurd_rows, far_steps
from rnnvanish.mitigation import innermost
from rnnvanish.observe.checks import Unmeasurable, require_unaltered
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run

#: Roundings that the account of a step may differ by from its derivative.
TOLERANCE = 1e4


@dataclass(frozen=True, eq=False)
class Cause:
    """What the steps back do to the gradient of one loop, in nats.

    Attributes:
        cell: The class of the cell that the equations are of: the innermost one.
        around: What is around it: the classes of wrappers, "projection"; empty where nothing is.
        lag: Steps back from the end at which a step arrives: 1, 2, ...
        gain: ln of what one step back does to the size of the gradient: the sum of all `parts`, mean over sequences.
        parts: What each part does. "weights", "slopes" (of sigmoid, tanh, ReLU) and "gates" (values that multiply) are
            factors on the way. "ways" is what comes of several ways through a step: they split up, add and cancel.
            "around" is what lies around the cell (a projection, a wrapper), "loss" what the loss adds on the way: 0
            where it reads the end alone. Of a cell that is not taken apart there is "step" instead of the first four.
        kept: Geometric mean of the gate that keeps the state (forget gate, update gate), without the steps whose input is
            absurd: one gate of 0 would make it 0; nan where there is none.
        note: Why nothing could be measured; empty where it could.
        keeps: What the cell says of that gate.
        plain: Whether the cell says that its step is its weights and a function of each unit, nothing else.
    """

    cell: str
    around: str
    lag: Int[Tensor, " steps"]
    gain: Float[Tensor, " steps"]
    parts: Mapping[str, Float[Tensor, " steps"]]
    kept: float = math.nan
    note: str = ""
    keeps: Keeps | None = None
    plain: bool = False

    @cached_property
    def means(self) -> dict[str, float]:
        """Nats per step of each part, mean over the steps that were measured; without the first, an LSTM's entry."""
        return {name: _mean(part[1:] if len(part) > 1 else part) for name, part in self.parts.items()}

    @property
    def rate(self) -> float:
        """Nats per step: the sum of `means`, the mean slope of ln gain from lag 1 on."""
        return sum(self.means.values())

    @property
    def main(self) -> str:
        """The part of a step that does most in the direction in which the gradient goes; "" where none does."""
        parts = {name: mean for name, mean in self.means.items() if name != "loss" and not math.isnan(mean)}
        sign = 1.0 if sum(parts.values()) >= 0 else -1.0
        strongest = max((name for name in parts if name != "ways"), key=lambda name: sign * parts[name], default="")
        return strongest if strongest and sign * parts[strongest] > 0 else ""

    @property
    def _step(self) -> float:
        """Nats of all that a step does, without what the loss adds."""
        return sum(nats for name, nats in self.means.items() if name != "loss")

    @property
    def resolved(self) -> bool:
        """Whether no gradient was rounded to nothing."""
        return not bool(self.gain.isnan().any())

    @property
    def words(self) -> str:
        """All this in words."""
        return self.note or self.explain("exploding" if self._step > 0 else "vanishing")

    def explain(self, verdict: str) -> str:
        """Say what a step does, and of a verdict that it leads to what is mainly the cause; "" where nothing is known."""
        if not len(self.gain):
            return ""
        step = self._step
        leads = step < 0 if verdict == "vanishing" else step > 0 and verdict == "exploding"
        main = self.main if leads or self.main == "step" else ""
        return explanation(self.cell, self.around, self.means, main, self.kept, self.keeps, self.plain)


def causes(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> dict[str, Cause]:
    """Take apart, for each recurrent layer and direction, what a step back does to the gradient that is there.

    Followed is the actual gradient of this loss, the one that `probes.retention` measures, step by step: the sizes of
    its parts before and after each operation of the cell. Cells that name their layers (`gate_names`) are taken apart,
    those of `torch.nn` too, and inside of wrappers; of another cell the step is one part.

    Arguments and errors are those of `probes.retention`. Of a step that cannot be repeated (random numbers) there is a
    note and no number.
    """
    return each_loop(model, inputs, loss, measure_alone(cause_of), lambda cause: cause.resolved, cells)


def cause_of(run: Run, gradients: Series) -> Pass[Cause]:
    """Take one loop apart, given the total gradient of every state; where that is not possible say why."""
    try:
        require_unaltered(run)
        return (yield from _taken_to_pieces(run, gradients))
    except (UnrepeatableStep, Unmeasurable) as error:
        empty = torch.empty(0, dtype=torch.float64)
        name = type(innermost(run.cell)).__name__
        return Cause(name, "", torch.empty(0, dtype=torch.long), empty, {"step": empty, "loss": empty}, note=str(error))


def _taken_to_pieces(run: Run, gradients: Series) -> Pass[Cause]:
    rows: list[tuple[Tensor, dict[str, Tensor]]] = []
    logs, count = 0.0, 0
    known, far = True, far_steps(run)
    inner = innermost(run.cell)
    while (steps := (yield)) is not None:
        parts = _accounts(steps, gradients)
        known = known and "step" not in parts
        rows.append((steps.lag, parts))
        if (gate := kept_by_gate(steps.inner)) is not None:
            gate = gate[~absurd_rows(steps, far)]
            logs, count = logs + float(gate.double().log().sum()), count + gate.numel()
    names = (*PARTS, "loss") if known else ("step", "loss")
    lag = torch.cat([lag for lag, _ in rows]) + 1
    every = torch.cat([torch.stack([_of(parts, name) for name in names]) for _, parts in rows], dim=-1)
    means = _mean_by_lag(every, lag, int(run.ends.max()))
    gain = means.sum(0)
    return Cause(
        cell=type(inner).__name__,
        around=_around(run, inner),
        lag=torch.arange(1, len(gain) + 1),
        gain=gain,
        parts=dict(zip(names, means, strict=True)),
        kept=math.exp(logs / count) if count else math.nan,
        keeps=inner.keeps if isinstance(inner, Cell) else None,
        plain=isinstance(inner, Cell) and inner.plain,
    )


def _accounts(steps: ReplayedSteps, gradients: Series) -> dict[str, Tensor]:
    """Nats of each part, row by row; nan where a row is no step back inside the sequence, or has no account."""
    scaled, back = steps.backward.scaled, steps.backward.before
    earlier = torch.cat([part[(steps.step - 1).clamp(min=0), steps.sequence] for part in gradients], dim=-1)
    parts = {"loss": log_ratio(_size((earlier,)), steps.backward.scale * _size(back))}
    flow = _taken_apart(steps, scaled, torch.cat(back, dim=-1))
    parts |= {"step": log_ratio(_size(back), _size(scaled))} if flow is None else flow.account
    # Where nothing passes, but the loss brings in more on the way, no number says how much that is of nothing.
    outside = (steps.step == 0) | (_size(scaled) == 0) | ((_size(back) == 0) & (_size((earlier,)) > 0))
    return {name: torch.where(outside, torch.nan, part.detach().double()) for name, part in parts.items()}


def _taken_apart(steps: ReplayedSteps, gradient: State, back: Tensor) -> Flow | None:
    """The way through the cell, met by what goes around it; None where the cell is not taken apart."""
    inner = steps.inner
    if not inner.complete:
        return None
    whole = Flow(torch.cat(gradient, dim=-1), dict.fromkeys(PARTS, torch.zeros_like(back[:, 0])))
    bare = _is_whole_step(inner, steps)  # then there is nothing around it to go through
    into = gradient if bare else steps.vjp(gradient, inner.after)
    through = step_account(whole.becomes(torch.cat(into, dim=-1), "around").split(*into), inner)
    out = () if bare else vjp(inner.after, into, inner.before)
    known = back if bare else torch.cat(out, dim=-1)
    tolerance = TOLERANCE * torch.finfo(known.dtype).eps
    if through is None or not torch.allclose(through.value, known, rtol=0, atol=tolerance):
        return None
    if bare:
        return through.becomes(back, "around")
    flat = torch.cat(vjp(inner.before, out, steps.before), dim=-1)
    return join(through.becomes(flat, "around"), whole.becomes(back - flat, "around"))


def _is_whole_step(inner: InnermostCall, steps: ReplayedSteps) -> bool:
    """Whether the innermost cell is all of a step: it reads and gives the very tensors that the step does."""
    ours, theirs = (*inner.before, *inner.after), (*steps.before, *steps.after)
    return len(ours) == len(theirs) and all(one is other for one, other in zip(ours, theirs, strict=True))


def _of(parts: Mapping[str, Tensor], name: str) -> Tensor:
    """A part of the rows; of a step that is not taken apart, everything but the loss."""
    if name in parts:
        return parts[name]
    return torch.stack([part for part_name, part in parts.items() if part_name != "loss"]).sum(0)


def _around(run: Run, inner: nn.Module) -> str:
    names, cell = [], run.cell
    while cell is not inner:
        names.append(type(cell).__name__.strip("_"))
        cell = cell.cell  # type: ignore[assignment]
    if run.step is not run.cell:
        names.append("projection")
    return ", ".join(names)


def _mean_by_lag(parts: Float[Tensor, "parts rows"], lag: Tensor, longest: int) -> Float[Tensor, "parts steps"]:
    """Mean over the sequences, for each lag from 1 to the longest; nan where no sequence has a number."""
    parts, lag = parts.cpu(), lag.cpu()
    there = ~parts.isnan()
    sums = torch.zeros(2, len(parts), longest + 2, dtype=torch.float64)  # the first step of a sequence is no step back
    sums.index_add_(2, lag, torch.stack([torch.where(there, parts, 0.0), there.double()]))
    total, count = sums[..., 1 : longest + 1]
    means: Tensor = total / count
    return means


def _size(parts: State) -> Tensor:
    size: Tensor = torch.linalg.vector_norm(torch.cat(parts, dim=-1), dim=-1)
    return size


def _mean(values: Tensor) -> float:
    there = values[~values.isnan()]
    return float(there.mean()) if len(there) else math.nan
