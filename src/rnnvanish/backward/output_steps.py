"""Which step of a loop each row of a model's output reads, found by looking: no shape is believed that was not tried.

Weights that grow along one axis of an output tell where a gradient came from: what was read by the row of index i alone comes
back i + 1 times as long as from weights that do not grow. The gradient is stopped behind the calls of every loop, so that
it is what is read of each step directly, and costs no backward pass through time. Where several rows read a step, blocks of
them are looked at one by one.
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
#: Blocks of rows whose reading is told apart, where one step is read by several rows.
BLOCKS = 4
#: How far these blocks have to rise from the first step to the last, and how sure that has to be (Student's t).
RISE, SURE = 0.5, 6.0


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
    there = [whole.square().sum(-1) > 0 for whole in every]
    if all(bool(read.any(1).sum() <= 1) for read in there):  # one and the same step of all sequences
        return [_of_one_step(output, read) for read in there]
    axes = [axis for axis, size in enumerate(output.shape) if size > 1]
    grown = {axis: direct_gradients(edge, weights * (1 + _along(axis, output)), runs) for axis in axes}
    blocks = _Blocks(edge, weights, runs)
    found: list[OutputSteps | None] = []
    for index, (whole, read) in enumerate(zip(every, there, strict=True)):
        if not read.any():
            found.append(None)
            continue
        places = {axis: _rows(whole[read], grown[axis][index][read], output.shape[axis]) for axis in axes}
        known = {axis: place for axis, place in places.items() if place is not None}
        # Where each number of the output reads one step, it may be of a maximum over time; then these are in no order.
        if known and len(known) == len(axes) and not _in_order(known, read):
            known = {axis: place for axis, place in known.items() if not _varies(place, read)}
        rows = _from_rows(output, known, read) if known else None
        if bool((read.sum(0) > 1).any()) and (rows is None or not rows.tells_steps_apart):
            rows = _from_blocks(output, blocks, index, known, read) or rows
        found.append(rows)
    return found


def _of_one_step(output: Tensor, read: Tensor) -> OutputSteps | None:
    """All rows are of the one step that is read; None where none is."""
    if not read.any():
        return None
    step = read.any(1).nonzero().view([1] * output.dim())
    return OutputSteps(step, torch.zeros_like(step))


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


def _varies(place: Tensor, read: Tensor) -> bool:
    """Whether different rows read the steps of one sequence."""
    sequence = read.nonzero(as_tuple=True)[1]
    pairs = torch.stack([sequence, place]).unique(dim=1)
    return bool(pairs.shape[1] > len(pairs[0].unique()))


def _in_order(known: dict[int, Tensor], read: Tensor) -> bool:
    """Whether later steps of every sequence are read by later rows; or by earlier ones, of a loop that runs the other way."""
    place = torch.zeros_like(next(iter(known.values())))
    for index in known.values():
        place = place * (index.max() + 1) + index
    by_step = torch.zeros(read.shape, dtype=place.dtype, device=place.device).masked_scatter(read, place)
    rise = torch.cat([own[there].diff() for own, there in zip(by_step.T, read.T, strict=True)])
    return bool((rise > 0).all() or (rise < 0).all())


class _Blocks:
    """How much blocks of rows read of each step: of all loops at once, since most have the same blocks."""

    def __init__(self, edge: Any, weights: Tensor, runs: Sequence[Run]) -> None:
        self.edge, self.weights, self.runs = edge, weights, runs
        self.known: list[tuple[Tensor, list[Tensor]]] = []

    def sizes(self, block: Tensor, index: int) -> Float[Tensor, "blocks time sequences"]:
        """The square of what each block of rows sends to each step of one loop."""
        for other, sizes in self.known:
            if other.shape == block.shape and other.equal(block):
                return sizes[index]
        every = []
        for each in block.unique():
            rows = torch.where((block == each).expand_as(self.weights), self.weights, 0)
            every.append([of_run.square().sum(-1) for of_run in direct_gradients(self.edge, rows, self.runs)])
        self.known.append((block, [torch.stack(own) for own in zip(*every, strict=True)]))
        return self.known[-1][1][index]


def _from_blocks(
    output: Tensor, blocks: _Blocks, index: int, known: dict[int, Tensor], read: Tensor
) -> OutputSteps | None:
    """Where several rows read a step (attention, a convolution, a norm over time): the later the step, the later the rows.

    The block that reads most of a step, on average over the blocks, rises with the step along the axis of time; it falls,
    of a loop that runs the other way. Along any other axis it does neither.
    """
    run = blocks.runs[index]
    for guess in _guesses(output, run, known, read):
        block = guess.step.clamp(min=0) * BLOCKS // len(read)
        if len(block.unique()) < 2:
            continue
        sizes = blocks.sizes(block, index)
        here = read & (sizes.sum(0) > 0)
        centre = (block.unique().to(sizes)[:, None, None] * sizes).sum(0)[here] / sizes.sum(0)[here]
        rise, sure = _rise(here.nonzero(as_tuple=True)[0].to(sizes) * BLOCKS / len(read), centre)
        if abs(rise) > RISE and sure > SURE:
            turned = (run.ends[guess.sequence] - guess.step).clamp(min=-1)
            return guess if rise > 0 else OutputSteps(turned, guess.sequence)
    return None


def _rise(x: Tensor, y: Tensor) -> tuple[float, float]:
    """The slope of y over x, and how many standard errors it is away from none."""
    if len(x.unique()) < 4:  # a few points are on a line by chance
        return 0.0, 0.0
    x, y = x - x.mean(), y - y.mean()
    slope = (x * y).sum() / x.square().sum()
    error = ((y - slope * x).square().sum() / (len(x) - 2) / x.square().sum()).sqrt()
    return float(slope), float(slope.abs() / error.clamp(min=torch.finfo(error.dtype).tiny))


def _guesses(output: Tensor, run: Run, known: dict[int, Tensor], read: Tensor) -> Iterator[OutputSteps]:
    """Each axis that could be time, the likeliest first, with the sequences as the rows of `known` are, or along an axis as long as the batch."""
    time, batch = run.x.shape[:2]
    free = [axis for axis, size in enumerate(output.shape) if size > 1 and axis not in known]
    free.sort(key=lambda axis: (output.shape[axis] != time, output.shape[axis] % time > 0))
    for axis in free:
        own, size = _along(axis, output), output.shape[axis]
        if not known and size % (time * batch) == 0 and min(time, batch) > 1:
            each = own // (size // (time * batch))
            yield OutputSteps(each % time, each // time)
            yield OutputSteps(each // batch, each % batch)
        others = [other for other in free if other != axis]
        rows = [other for other in others if output.shape[other] == batch][:1]
        sequence = _along(rows[0], output) if rows else torch.zeros_like(own)
        if known:
            rows, sequence = [], _from_rows(output, known, read).sequence
        # Rows that share a step are its features where no other axis has these; else the last of them is the end.
        features = size > time and len(others) == len(rows)
        step = own * time // size if features else (own + 1) * time // size - 1
        yield OutputSteps(*torch.broadcast_tensors(step, sequence))
