"""Why a layer keeps or loses its gradient: what each step back does to it, part by part, and the sum is exact."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.loss import Loss
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.backward.replay import ReplayedSteps, UnrepeatableStep
from rnnvanish.cell import State
from rnnvanish.diagnosis.cause.account import PARTS, RARE, log_ratio
from rnnvanish.diagnosis.cause.explanation import Cause, mean
from rnnvanish.diagnosis.cause.step_account import StepAccount
from rnnvanish.diagnosis.faults.absurd_input import absurd_rows, far_steps
from rnnvanish.engine.step_form import resets_of
from rnnvanish.mitigation import innermost
from rnnvanish.observe.checks import Unmeasurable, require_unaltered
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run


def causes(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> dict[str, Cause]:
    """Take apart, for each recurrent layer and direction, what a step back does to the gradient that is there.

    Followed is the actual gradient of this loss, the one that `probes.retention` measures, step by step: the sizes of
    its parts before and after each operation of the step, which is traced: a cell's, that of a layer of `torch.nn`, or a
    user's own. Where it cannot be traced, or has another gradient than what it computes, the step is one part.

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
    account, far, carried = StepAccount(run), far_steps(run), dict[str, list[Tensor]]()
    while (steps := (yield)) is not None:
        rows.append((steps.lag, _accounts(steps, gradients, account)))
        sane, anew = ~absurd_rows(steps, far), resets_of(run.step, steps.x)
        if anew is not None:  # what was before such a step is none of its past
            sane = sane & ~anew
        for name, means in account.kept.items():
            carried.setdefault(name, []).append(means[sane].double().cpu())
    names = ("step",) if account.reason else PARTS
    lag = torch.cat([lag for lag, _ in rows]) + 1
    every = torch.cat([torch.stack([_of(parts, name) for name in (*names, "loss")]) for _, parts in rows], dim=-1)
    parts = dict(zip((*names, "loss"), _mean_by_lag(every, lag, int(run.ends.max())), strict=True))
    parts = {name: part for name, part in parts.items() if name not in RARE or bool((part.nan_to_num(1.0) != 0).any())}
    gain, inner = torch.stack(list(parts.values())).sum(0), innermost(run.cell)
    kept = {} if account.reason else {name: torch.cat(means) for name, means in carried.items()}
    keeps = inner.keeps
    return Cause(
        cell=type(inner).__name__,
        around=_around(run, inner),
        lag=torch.arange(1, len(gain) + 1),
        gain=gain,
        parts=parts,
        kept=math.exp(mean(kept[keeps.part][:, 0])) if keeps and keeps.part in kept else math.nan,
        keeps=keeps,
        plain=inner.plain,
        carried={name: share for name, means in kept.items() if (share := _share(means)) > 0},
        untaken=account.reason,
        has_matrix=account.has_matrix,
    )


def _accounts(steps: ReplayedSteps, gradients: Series, account: StepAccount) -> dict[str, Tensor]:
    """Nats of each part, row by row; nan where a row is no step back inside the sequence, or has no account."""
    scaled, back = steps.backward.scaled, steps.backward.before
    earlier = torch.cat([part[(steps.step - 1).clamp(min=0), steps.sequence] for part in gradients], dim=-1)
    parts = {"loss": log_ratio(_size((earlier,)), steps.backward.scale * _size(back))}
    flow = account.of(steps)
    parts |= {"step": log_ratio(_size(back), _size(scaled))} if flow is None else flow.account
    # Where nothing passes, but the loss brings in more on the way, no number says how much that is of nothing.
    outside = (steps.step == 0) | (_size(scaled) == 0) | ((_size(back) == 0) & (_size((earlier,)) > 0))
    return {name: torch.where(outside, torch.nan, part.detach().double()) for name, part in parts.items()}


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


def _share(means: Float[Tensor, "rows 2"]) -> float:
    """Of a part the geometric mean of what is kept; where that is nothing at some steps, the arithmetic one."""
    geometric = math.exp(mean(means[:, 0]))
    return geometric if geometric != 0 else mean(means[:, 1])


def _size(parts: State) -> Tensor:
    size: Tensor = torch.linalg.vector_norm(torch.cat(parts, dim=-1), dim=-1)
    return size
