"""The Run of a loop of a model's own steps, in the form of all other loops: states of (batch, numbers), and a step to replay."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell, State
from rnnvanish.live import cells_of
from rnnvanish.numerics.norms import as_real
from rnnvanish.observe.cell_loops.call_pattern import CallPattern
from rnnvanish.observe.pytree import Leaves, leaves, map_leaves
from rnnvanish.observe.record import LoopRecording, Returned, Run

#: Numbers that steps read beside their state, over all steps: more than these are kept of the last step alone.
MAX_KEPT_NUMBERS = 2**26


@dataclass(frozen=True)
class StateLayout:
    """The form in which a step takes one part of its state, and the (batch, numbers) in which it is measured."""

    shape: tuple[int, ...]
    batch_axis: int | None

    @classmethod
    def of(cls, part: Tensor, others: Sequence[Tensor]) -> "StateLayout":
        """Find the axis of the batch: the one that other tensors have first; None for a single sequence."""
        firsts = {len(other) for other in others if other.dim() > 1}
        if part.dim() == 1:
            return cls(tuple(part.shape), 0 if len(part) in firsts else None)
        firsts |= {len(other) for other in others if other.dim() == 1}
        second = part.dim() > 2 and part.shape[0] not in firsts and part.shape[1] in firsts
        return cls(tuple(part.shape), 1 if second else 0)

    def flat(self, part: Tensor) -> Tensor:
        """As (batch, numbers)."""
        if self.batch_axis != 0:
            part = part.unsqueeze(0) if self.batch_axis is None else part.movedim(self.batch_axis, 0)
        return part.reshape(len(part), -1)

    def restore(self, flat: Tensor) -> Tensor:
        """As the step takes it."""
        if self.batch_axis is None:
            return flat.reshape(self.shape)
        inner = [size for axis, size in enumerate(self.shape) if axis != self.batch_axis]
        whole = flat.reshape(len(flat), *inner)
        return whole if self.batch_axis == 0 else whole.movedim(0, self.batch_axis)


@dataclass(frozen=True)
class StepCall:
    """One call: its arguments, those of them that are no state, and its state as it was read and as it was returned."""

    bound: inspect.BoundArguments
    inputs: Leaves
    received: tuple[Tensor, ...]  # in the model's own form, and
    consumed: tuple[Tensor, ...]  # views of the same, that this call alone reads
    entry: tuple[Tensor, ...]  # of those sequences that have not ended
    state: State
    beside: list[Tensor]  # what else it returned
    forms: list[StateLayout]
    rows: int


def build_runs(pattern: CallPattern, original: Callable[..., Any], loop: LoopRecording) -> Iterator[Run]:
    """The Run of a loop of steps."""
    calls: list[StepCall] = loop.calls
    first, rows = calls[0], torch.tensor([call.rows for call in calls])
    batch, device = first.rows, first.state[0].device
    columns = _input_columns(calls)
    x = torch.stack([_pad_rows(_input_rows(call, columns, call.state[0].dtype.to_real()), batch) for call in calls])
    cell: Cell
    if pattern.plain:
        (cell,) = cells_of(loop.module)
    else:
        cell = type(type(loop.module).__name__, (NamedStep,), {})(pattern, original, calls[-1], columns)
    lengths = (rows[:, None] > torch.arange(batch)).sum(0).to(device)
    yield Run(
        loop.name,
        loop.module,
        cell,
        cell,
        x,
        first.entry or tuple(torch.zeros_like(part) for part in first.state),
        [call.state for call in calls],
        lengths if bool((lengths < len(calls)).any()) else None,
        None,
        [call.entry for call in calls],
        tuple(range(len(calls))),
        loop.altered,
        loop.resets(range(len(calls)), len(calls)),
        loop.detached_from,
        loop.has_graph,
        gradient_stop=loop.gradient_stop,
        returned=[each for step, call in enumerate(calls) for each in _returned(step, call, batch)],
        **_carried_states(calls, loop.altered),
    )


def _returned(step: int, call: StepCall, batch: int) -> Iterator[Returned]:
    for part in call.state:
        yield Returned(step, part)
    others = [leaf for leaf in call.inputs.values() if isinstance(leaf, Tensor)]
    for part in call.beside:
        form = StateLayout.of(part, others)
        if part.dim() and (form.batch_axis is None or part.shape[form.batch_axis] == call.rows):
            yield Returned(step, part, partial(_as_rows, form, batch))


def _as_rows(form: StateLayout, batch: int, value: Tensor) -> Tensor:
    return _pad_rows(form.flat(value), batch)[None]


def _carried_states(calls: list[StepCall], altered: bool) -> dict[str, Any]:
    """The states that an altered loop received, and what of them its calls consumed."""
    if not altered:
        return {}
    forms = calls[-1].forms
    return {
        "received_states": [call.received for call in calls],
        "consumed_states": [call.consumed for call in calls],
        "flatten": lambda state: tuple(form.flat(part) for form, part in zip(forms, state, strict=False)),
    }


class NamedStep(Cell):
    """A step that the user named, called as cells here are: (x, state) -> state. `x` is all that it reads, side by side."""

    def __init__(
        self, pattern: CallPattern, original: Callable[..., Any], last: StepCall, columns: dict[str, torch.Size]
    ) -> None:
        nn.Module.__init__(self)
        self.module = pattern.module
        self.state_names = pattern.state_names
        self.hidden_size = last.state[0].shape[-1]
        self.input_size = sum(shape.numel() for shape in columns.values())
        self._pattern, self._original, self._last, self._columns = pattern, original, last, columns
        self._own = isinstance(self.module, Cell) and self.state_names == self.module.state_names
        self.helpers = cast(Cell, self.module).helpers if self._own else ()

    def scales(self, state: State) -> tuple[Tensor | float, ...]:
        """What each part of the state is to be multiplied with to be what it stands for."""
        if not self._own:
            return super().scales(state)
        parts = tuple(form.restore(part) for form, part in zip(self._last.forms, state, strict=True))
        return tuple(
            form.flat(scale.expand_as(part)) if isinstance(scale, Tensor) else scale
            for form, part, scale in zip(self._last.forms, parts, cast(Cell, self.module).scales(parts), strict=True)
        )

    def forward(self, x: Tensor, state: State) -> State:
        """Take one step."""
        last, single = self._last, self._last.forms[0].batch_axis is None
        new: Leaves = {
            place: form.restore(part)
            for (place, _), form, part in zip(self._pattern.pairs, last.forms, state, strict=True)
        }
        pieces = x.split([shape.numel() for shape in self._columns.values()], dim=-1)
        for (place, shape), piece in zip(self._columns.items(), pieces, strict=True):
            like = cast(Tensor, last.inputs[place])
            whole = piece.reshape(shape if single else (len(x), *shape))
            new[place] = torch.view_as_complex(whole).to(like.dtype) if like.is_complex() else whole.to(like.dtype)
        arguments = map_leaves(last.bound.arguments, lambda place, leaf: new.get(place, leaf))
        bound = inspect.BoundArguments(last.bound.signature, arguments)
        returned = leaves(self._original(*bound.args, **bound.kwargs))
        raw = [cast(Tensor, returned[place]) for _, place in self._pattern.pairs]
        return tuple(form.flat(part) for form, part in zip(last.forms, raw, strict=True))


def _input_columns(calls: list[StepCall]) -> dict[str, torch.Size]:
    """The tensors that every call reads, with a row for each sequence, and the shape of a row in real numbers."""
    single = calls[0].forms[0].batch_axis is None
    columns = {}
    for place, leaf in calls[-1].inputs.items():
        found = [call.inputs.get(place) for call in calls]
        if not all(isinstance(one, Tensor) for one in found):
            continue
        each = [as_real(one) for one in cast(list[Tensor], found)]
        shapes = {one.shape if single else one.shape[1:] for one in each}
        batched = single or all(
            one.dim() > 0 and len(one) == call.rows for one, call in zip(cast(list[Tensor], found), calls, strict=True)
        )
        if len(shapes) == 1 and batched and len(calls) * cast(Tensor, leaf).numel() <= MAX_KEPT_NUMBERS:
            columns[place] = shapes.pop()
    return columns


def _input_rows(call: StepCall, columns: dict[str, torch.Size], dtype: torch.dtype) -> Tensor:
    """What one call read, (rows, numbers)."""
    read = [as_real(cast(Tensor, call.inputs[place])).reshape(call.rows, -1).to(dtype) for place in columns]
    return torch.cat(read, dim=-1) if read else call.state[0].new_zeros(call.rows, 0)


def _pad_rows(x: Tensor, rows: int) -> Tensor:
    return x if len(x) == rows else torch.cat([x, x.new_zeros(rows - len(x), x.shape[1])])
