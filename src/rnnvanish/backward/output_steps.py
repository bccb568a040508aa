"""Which step of a loop each row of a model's output reads, found by looking: no shape is believed that was not tried.

Weights that grow along one axis of an output tell where a gradient came from: what was read by the row of index i alone comes
back i + 1 times as long as from weights that do not grow. The gradient is stopped behind the calls of every loop, so that
it is what is read of each step directly, and costs no backward pass through time.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rnnvanish.observe.record import Returned, Run

#: How far a gradient may be from a multiple of another one, over its length, and the multiple from a whole number.
NOT_ALIKE, NOT_WHOLE = 0.02, 0.2
#: The part of what the first rows read that may come from later steps, for rows that are in order.
IN_ORDER = 0.1


@dataclass(frozen=True, eq=False)
class OutputSteps:
    """Which step of a loop the rows of one output read.

    Attributes:
        step: The last step that each row reads directly, of a shape that broadcasts with the output; -1 where none.
        sequence: Which sequence it is of.
    """

    step: Int[Tensor, "..."]
    sequence: Int[Tensor, "..."]

    @property
    def tells_steps_apart(self) -> bool:
        """Whether several rows are of one sequence."""
        read = self.step >= 0
        return int(read.sum()) > len(self.sequence[read].unique())


def output_steps(output: Tensor, edge: Any, runs: Sequence[Run]) -> list[OutputSteps | None]:
    """Find which steps of each loop the rows of an output read.

    Args:
        output: What the model returned.
        edge: Its place in the graph.
        runs: The model's loops.

    Returns:
        Of each loop, what its steps are read by; None where no row could be told from the others, or nothing is read.
    """
    weights = _weights(output)
    every = direct_gradients(edge, weights, runs)
    axes = [axis for axis, size in enumerate(output.shape) if size > 1]
    grown = {axis: direct_gradients(edge, weights * (1 + _along(axis, output)), runs) for axis in axes}
    found: list[OutputSteps | None] = []
    for index, run in enumerate(runs):
        whole = every[index]
        read = whole.square().sum(-1) > 0
        if not read.any():
            found.append(None)
            continue
        places = {axis: _rows(whole[read], grown[axis][index][read], output.shape[axis]) for axis in axes}
        known = {axis: place for axis, place in places.items() if place is not None}
        rows = _from_rows(output, known, read) if known else None
        if rows is None or not rows.tells_steps_apart:
            rows = _from_shape(output, edge, weights, run) or rows
        found.append(rows)
    return found


def direct_gradients(
    edge: Any, weights: Tensor | None, runs: Sequence[Run], through_calls: bool = False
) -> list[Float[Tensor, "time sequences numbers"]]:
    """Differentiate by what each step of each loop hands on, as far as it is read there, and not by way of another call.

    Args:
        edge: What is differentiated: a tensor, or its place in the graph.
        weights: What is sent into it.
        runs: The loops.
        through_calls: Whether what is read by way of other loops' calls counts, too.

    Returns:
        In double precision; zero where nothing is read.
    """
    returned = [[each for each in run.returned if each.value.requires_grad] for run in runs]
    inside = [each.value for each in chain(*returned)]
    if not inside:
        return [torch.zeros(*run.x.shape[:2], 1, dtype=torch.float64, device=run.x.device) for run in runs]
    with nullcontext() if through_calls else runs[0].gradient_stop.engaged():
        given = torch.autograd.grad([edge], inside, [weights], retain_graph=True, allow_unused=True)
    remaining = iter(given)
    return [_by_step(run, [(each, next(remaining)) for each in own]) for run, own in zip(runs, returned, strict=True)]


def _weights(output: Tensor) -> Tensor:
    """Weights that add up to nothing known (the rows of a softmax add up to one), none of them small."""
    drawn = torch.rand(output.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    return (drawn + 0.5 * drawn.sign()).to(output.device, output.dtype)


def _by_step(run: Run, found: list[tuple[Returned, Tensor | None]]) -> Tensor:
    """Side by side whatever is read of a step, (time, sequences, numbers); of a sequence that has ended, of its last."""
    time, batch = run.x.shape[:2]
    columns = [0] * time  # how many are taken of each step
    placed = []
    for each, gradient in found:
        if gradient is None:
            continue
        rows = each.rows(gradient).detach()
        rows = torch.view_as_real(rows).flatten(-2) if rows.is_complex() else rows
        placed.append((each.step, columns[each.step], rows))
        for step in range(each.step, each.step + len(rows)):
            columns[step] += rows.shape[-1]
    whole = torch.zeros(time, batch, max(*columns, 1), dtype=torch.float64, device=run.x.device)
    sequence = torch.arange(batch, device=run.x.device)
    for step, column, rows in placed:
        at = torch.minimum(torch.arange(step, step + len(rows), device=run.x.device)[:, None], run.ends)
        part = whole[..., column : column + rows.shape[-1]]
        part.index_put_((at, sequence.expand_as(at)), rows.double(), accumulate=True)
    return whole


def _along(axis: int, output: Tensor) -> Tensor:
    """The index of each number along an axis."""
    shape = [1] * output.dim()
    shape[axis] = -1
    return torch.arange(output.shape[axis], device=output.device).view(shape)


def _rows(whole: Tensor, grown: Tensor, size: int) -> Tensor | None:
    """The index of the one row along an axis that reads each of some steps; None where several rows read one.

    Nor where it is the same row for all: that says nothing of steps (one feature may outweigh all others).
    """
    times = (whole * grown).sum(-1) / whole.square().sum(-1)
    apart = (grown - times[:, None] * whole).norm(dim=-1) > NOT_ALIKE * grown.norm(dim=-1)
    index = times.round() - 1
    if apart.any() or ((times - 1 - index).abs() > NOT_WHOLE).any() or (index < 0).any() or (index >= size).any():
        return None
    return index.long() if bool((index != index[0]).any()) else None


def _from_rows(output: Tensor, known: dict[int, Tensor], read: Tensor) -> OutputSteps:
    """The step of each row, from the row of each step."""
    shape = [output.shape[axis] if axis in known else 1 for axis in range(output.dim())]
    place = torch.zeros_like(next(iter(known.values())))
    for axis, index in known.items():
        place = place * output.shape[axis] + index
    step, sequence = read.nonzero(as_tuple=True)
    batch = read.shape[1]
    latest = place.new_full((torch.Size(shape).numel(),), -1).scatter_reduce(0, place, step * batch + sequence, "amax")
    return OutputSteps(
        torch.where(latest < 0, -1, latest // batch).view(shape), torch.where(latest < 0, 0, latest % batch).view(shape)
    )


def _from_shape(output: Tensor, edge: Any, weights: Tensor, run: Run) -> OutputSteps | None:
    """Where several rows read a step (attention, a convolution): an axis as long as the loop, if its rows are in order.

    They are if the first half of them reads next to nothing of the second half of the steps.
    """
    half = max(1, int(run.ends.min()) // 2)
    best, found = IN_ORDER, None
    for guess in _guesses(output, run):
        first = torch.where((guess.step < half).expand_as(output), weights, 0)
        (of_first,) = direct_gradients(edge, first, [run])
        sizes = of_first.square().sum((1, 2))
        part = float(sizes[half:].sum() / sizes.sum())
        if part < best:
            best, found = part, guess
    return found


def _guesses(output: Tensor, run: Run) -> Iterator[OutputSteps]:
    time, batch = run.x.shape[:2]
    for axis, size in enumerate(output.shape):
        own = _along(axis, output)
        if size == time > 1:
            rows = [other for other in range(output.dim()) if other != axis and output.shape[other] == batch]
            sequence = _along(rows[0], output) if rows else torch.zeros_like(own)
            yield OutputSteps(*torch.broadcast_tensors(own, sequence))
        if size == time * batch and min(time, batch) > 1:
            yield OutputSteps(own % time, own // time)
            yield OutputSteps(own // batch, own % batch)
