"""A few inputs that are infinite, or larger than all others by far: a fill value, a division by zero, a unit gone wrong.

A sensor fails, and somebody writes -9999 for "nothing was measured". The network takes that for a measurement. One such
number throws its gates to the end of their range, and what the network knew is gone.

    torch.manual_seed(0)
    x = torch.randn(4, 30, 2)
    x[2, 17, 1] = -9999
    print(*diagnose(nn.LSTM(2, 16, batch_first=True), x, quick=True).findings)

A missing value becomes a zero, and a feature of its own says that it is missing:

    missing = x == -9999
    x = torch.cat([x.masked_fill(missing, 0), missing.float()], dim=-1)
    print(diagnose(nn.LSTM(4, 16, batch_first=True), x, quick=True).findings)
"""

import math
from functools import partial

import torch
from jaxtyping import Bool
from torch import Tensor

from rnnvanish.backward.gate_values import kept_by_gate
from rnnvanish.backward.measure_loop import Pass
from rnnvanish.backward.replay import ReplayedSteps
from rnnvanish.cell import Cell
from rnnvanish.diagnosis.fault import Symptom, change_input, module_of
from rnnvanish.diagnosis.faults.saturation import MOST, flat_gates
from rnnvanish.mitigation import innermost
from rnnvanish.numerics.norms import row_norms
from rnnvanish.numerics.outliers import TIMES, outliers
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

#: What no input of a working model is, how many times the typical size.
BEYOND = 1e6


def absurd_input(run: Run, total: Series) -> Pass[Symptom | None]:
    """See whether a few steps of a first layer read something a hundred times as large as the others, and are flat there.

    Where nothing is known of limits, or there is none: a million times as large.
    """
    if "/layer" in run.name and "/layer0/forward" not in run.name:
        return None
    far = far_steps(run)
    if not far.any():
        return None
    absurd, kept = yield from _look(run, far)
    absurd |= far_steps(run, BEYOND)
    if not absurd.any():
        return None
    step, row, feature = _largest(run, absurd)
    usual = run.x.detach()[run.valid & ~absurd].double()
    limit = TIMES * float(torch.linalg.vector_norm(usual, dim=-1).median())
    return Symptom(
        "absurd input",
        module_of(run),
        f"Of {int(run.valid.sum()) * run.x.shape[-1]} inputs one is {float(run.x[step, row, feature]):.3g}, where the others "
        f"have a typical size of {float(usual.square().mean().sqrt()):.3g}: sequence "
        f"{row if run.order is None else int(run.order[row])}, step {step}, feature {feature}, each counted from 0"
        f"{f'; {int(absurd.sum()) - 1} more steps are like it' if absurd.sum() > 1 else ''}.{_kept(run, kept)}",
        "Find out where it comes from, and take it out of the data: a division by zero, a value that stands for a missing "
        "one, another unit. If such inputs are real, limit them before this layer: x.clamp(-5, 5) of standardised features.",
        "size of the largest input, over the typical one of all",
        _over_typical(run, total),
        _over_typical,
        partial(change_input, change=partial(_repaired, limit=limit, usual=usual.mean(0))),
        unit="times",
    )


def far_steps(run: Run, times: float = TIMES) -> Bool[Tensor, "time sequences"]:
    """Steps that read something not finite, or of so many times the typical size; none where these are no exception."""
    there, found = run.valid, torch.zeros_like(run.valid)
    found[there] = outliers(row_norms(run.x.detach())[there], times)
    return found


def absurd_rows(steps: ReplayedSteps, far: Bool[Tensor, "time sequences"]) -> Bool[Tensor, " rows"]:
    """Which of some steps read something far off, and have most gates and units at the end of their range."""
    here = far[steps.step, steps.sequence]
    if not here.any() or not (flat := flat_gates(steps.inner)):
        return torch.zeros_like(here)
    share = torch.stack([each.double().mean(-1) for each in flat.values()]).mean(0)
    return here & (share > MOST)


def _look(run: Run, far: Tensor) -> Pass[tuple[Tensor, tuple[float, float]]]:
    """Which steps are absurd; and of the gate that keeps the state the geometric mean, with them and without."""
    absurd = torch.zeros_like(far)
    logs, rows = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    while (steps := (yield)) is not None:
        here = absurd_rows(steps, far)
        absurd[steps.step[here], steps.sequence[here]] = True
        if (gate := kept_by_gate(steps.inner)) is not None:
            log = gate.double().log().mean(-1)
            logs += torch.stack([log.sum(), log[~here].sum()]).cpu()
            rows += torch.tensor([len(here), int((~here).sum())], dtype=torch.float64)
    kept = (logs / rows).exp().tolist()
    return absurd, (kept[0], kept[1])


def _largest(run: Run, absurd: Tensor) -> tuple[int, int, int]:
    """Step, sequence and feature of the largest input."""
    size = torch.where(absurd[..., None], row_norms(run.x.detach()[..., None]), -1.0)
    step, row, feature = torch.unravel_index(size.argmax(), size.shape)
    return int(step), int(row), int(feature)


def _over_typical(run: Run, total: Series) -> float:
    """The size of the largest step's input over the median."""
    size = row_norms(run.x.detach())[run.valid]
    return float(size.max() / size[size > 0].median())


def _kept(run: Run, kept: tuple[float, float]) -> str:
    cell = innermost(run.cell)
    keeps = cell.keeps if isinstance(cell, Cell) else None
    if keeps is None or math.isnan(kept[1]):
        return ""
    return (
        f" Without it the {keeps.called} gates keep {kept[1]:.3g} of the {keeps.memory} at each step (geometric mean), "
        f"with it {kept[0]:.3g}."
    )


def _repaired(rows: Tensor, limit: float, usual: Tensor) -> Tensor:
    """Rows of which those beyond a limit are replaced by what is usual."""
    size = torch.linalg.vector_norm(rows.detach().double(), dim=-1, keepdim=True)
    return torch.where(size < limit, rows, usual.to(rows))
