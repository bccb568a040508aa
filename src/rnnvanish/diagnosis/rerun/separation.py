"""Whether a model keeps the sequences of a batch apart: what it returns is compared with one sequence replaced by another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.live import BATCH_NORMS, Cells, recurrent_modules, step_modules
from rnnvanish.observe.agreement import agree, numeric_tensors
from rnnvanish.observe.call import Call
from rnnvanish.observe.restore.borrow import borrow, snapshot_of
from rnnvanish.recurrent import Recurrent

#: Roundings of the largest number that is returned, from which on a number counts as changed.
ROUNDINGS = 100
#: Entries of an axis that are replaced, one at a time, where their number is told.
MOST = 16


@dataclass(frozen=True, eq=False)
class BatchAxis:
    """An axis of what a model is given, taken for that of the batch.

    Attributes:
        main: The largest tensor that the model is given.
        index: The axis of it; None where it is packed.
        size: Entries along it.
        rows: Of a packed batch the sequence of each number.
        foremost: Whether it is the first axis of this size that counts them in other tensors.
    """

    main: Tensor
    index: int | None
    size: int
    rows: Tensor | None = None
    foremost: bool = False

    def of(self, tensor: Tensor) -> int | None:
        """The same axis of another tensor; None where it has none."""
        like_main = self.index is not None and tensor.shape[self.index : self.index + 1] == (self.size,)
        if like_main and (tensor.shape == self.main.shape or not self.foremost):
            return self.index
        return next((axis for axis, size in enumerate(tensor.shape) if size == self.size), None)

    def replaced(self, call: Call, entry: int) -> Call | None:
        """The call with another sequence in the place of one; None where all are equal. Lengths stay as they are."""
        order = [(entry + self.size // 2 + k) % self.size for k in range(self.size)]
        other = next((each for each in order if not self._equal(entry, each)), None)
        if other is None:
            return None
        return call.map(lambda value: self._with(value, entry, other))

    def shuffled(self, call: Call) -> Call | None:
        """The call with the entries in another order; None of a packed batch."""
        if self.rows is not None:
            return None
        return call.map(lambda value: value if (axis := self.of(value)) is None else self.in_order(value, (axis,)))

    def in_order(self, value: Tensor, axes: Sequence[int]) -> Tensor:
        """A tensor with the entries of some axes of this size in that order."""
        order = torch.randperm(self.size, generator=torch.Generator().manual_seed(0)).roll(1).to(value.device)
        for axis in axes:
            value = value.index_select(axis, order if self.size > 2 else 1 - torch.arange(2, device=value.device))
        return value

    def _equal(self, one: int, other: int) -> bool:
        if self.rows is not None:
            ours, theirs = self.main[self.rows == one], self.main[self.rows == other]
            least = min(len(ours), len(theirs))
            return torch.equal(ours[:least], theirs[:least])
        assert self.index is not None
        return torch.equal(self.main.select(self.index, one), self.main.select(self.index, other))

    def _with(self, value: Tensor, entry: int, other: int) -> Tensor:
        if self.rows is not None and value is self.main:
            ours, theirs = (self.rows == entry).nonzero()[:, 0], (self.rows == other).nonzero()[:, 0]
            least = min(len(ours), len(theirs))
            return value.index_copy(0, ours[:least], value[theirs[:least]])
        axis = self.of(value)
        if axis is None or value.dim() < 2:
            return value
        changed = value.clone()
        changed.select(axis, entry).copy_(value.select(axis, other))
        return changed


@dataclass(frozen=True)
class EntriesRead:
    """How what a model returns depends on the entries of an axis.

    Attributes:
        count: How many were tried.
        unread: How many of these change nothing.
        apart: How many change what no other changes.
        mean: How many of these what is returned for one depends on, on average.
    """

    count: int
    unread: int
    apart: int
    mean: float


class Answers:
    """What a model returns in eval mode, on one batch and on others like it.

    Attributes:
        lists: Which of the tensors that it returns stand in a list of nothing but tensors, for each such list.
        loops: Steps and sequences of each recurrent module, by its name.
        axes: What may be the axis of the batch: of a packed batch the one, else each of the largest tensor.
    """

    def __init__(self, model: nn.Module, call: Call, cells: Cells = ()) -> None:
        self.model, self.call = model, call
        self.snapshot = snapshot_of(model, *call.contents)
        self.lists: list[list[int]] = []
        self.loops: dict[str, tuple[int, int]] = {}
        handles = [
            module.register_forward_pre_hook(
                lambda module, args, kwargs, name=name: self._note(name, module, args, kwargs), with_kwargs=True
            )
            for name, module in (recurrent_modules(model) | step_modules(model, cells)).items()
        ]
        try:
            self.returned = self(call)
        finally:
            for handle in handles:
                handle.remove()
        self.axes = list(_batch_axes(call, {rows for _, rows in self.loops.values()}))

    def __call__(self, call: Call) -> list[Tensor]:
        """What the model returns; every time with the same random numbers, and from the same state."""
        engines = {module: module.engine for module in self.model.modules() if isinstance(module, Recurrent)}
        with borrow(self.model, snapshot=self.snapshot), torch.no_grad():
            self.model.eval()
            for layer, engine in engines.items():  # what has been measured is compiled already
                layer.engine = engine
            for module in self.model.modules():
                if isinstance(module, BATCH_NORMS) and module.running_mean is None:  # it mixes a batch on purpose
                    vars(module)["forward"] = lambda x: x
            output = call.map(torch.clone)(self.model)
            self.lists = list(_lists(output))
            return [leaf.clone() for leaf in numeric_tensors(output)]

    def repeatable(self) -> bool:
        """Whether a second run gives the same."""
        return agree(self(self.call), self.returned)

    def verdict(self, axis: BatchAxis, strict: bool = False) -> str:
        """What becomes of the entries of an axis.

        Args:
            axis: Which.
            strict: Whether what is returned has to have such an axis for them to be apart.

        Returns:
            "apart": no number depends on two of them; where a list has a tensor for each of them, no tensor. "mixed": some do, though there is one for each of them. "unread":
            some of them change nothing. "pooled": all change the same numbers. "unknown" for whatever else.
        """
        found = [_verdict(changed, axis) for changed in self._changed(axis, sorted({0, 1, axis.size - 1}))]
        if "disjoint" in found and not strict and not {"mixed", "apart"} & {*found}:
            more = sorted({*range(min(axis.size, MOST)), axis.size - 1})
            found = [_verdict(changed, axis) for changed in self._changed(axis, more)]
            found = ["apart" if each == "disjoint" else each for each in found]
        return next((each for each in ("mixed", "apart", "unread", "pooled") if each in found), "unknown")

    def symmetric(self, axis: BatchAxis) -> bool:
        """Whether the order along an axis is of no meaning: what the model returns goes along, or stays."""
        if (call := axis.shuffled(self.call)) is None:
            return True
        after = self(call)
        return len(after) == len(self.returned) and all(
            any(agree([new], [axis.in_order(old, some)]) for some in _subsets(old, axis.size))
            for new, old in zip(after, self.returned, strict=True)
        )

    def entries_read(self, axis: BatchAxis) -> "EntriesRead":
        """How what the model returns depends on the entries of an axis."""
        count = min(axis.size, MOST)
        entries = [k * (axis.size - 1) // (count - 1) for k in range(count)]
        found = [_by_place(changed, axis) for changed in self._changed(axis, entries)]
        changes = torch.cat(found, 1) if found else torch.zeros(len(entries), 1, dtype=torch.bool)
        counts, read = changes.sum(0), changes.any(1)
        apart = read & ~(changes & (counts > 1)).any(1)
        mean = float(counts[counts > 0].double().mean()) if bool(read.any()) else 0.0
        return EntriesRead(len(entries), int((~read).sum()), int(apart.sum()), mean)

    def _changed(self, axis: BatchAxis, entries: Sequence[int]) -> list[list[Tensor]]:
        """For each tensor that is returned, which of its numbers change with each of some entries; none where that is not known."""
        runs = []
        for entry in entries:
            call = axis.replaced(self.call, entry)
            after = None if call is None else self(call)
            if after is None or [each.shape for each in after] != [each.shape for each in self.returned]:
                return []
            runs.append(after)
        every = [
            [_differs(each, before) for each in after] for before, *after in zip(self.returned, *runs, strict=True)
        ]
        found = {place: changed for place, changed in enumerate(every) if self.returned[place].numel() > 1}
        for places in self.lists:
            if len(places) == axis.size:  # as many tensors as entries: their place in the list is an axis
                rows = torch.stack([torch.stack([each.any() for each in every[place]]) for place in places], 1)
                if _verdict(list(rows), axis) == "apart":
                    found = {place: changed for place, changed in found.items() if place not in places}
                    found[places[0]] = list(rows)
        return list(found.values())

    def _note(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = next(leaf for leaf in _tensors((args, kwargs)))
        if isinstance(x, PackedSequence):
            steps, rows = len(x.batch_sizes), int(x.batch_sizes[0])
        elif hasattr(module, "batch_first"):
            steps, rows = (
                (len(x), 1) if x.dim() < 3 else (x.shape[1], x.shape[0]) if module.batch_first else x.shape[:2]
            )
        else:
            steps, rows = 1, len(x) if x.dim() > 1 else 1
        known = self.loops.get(name, (0, rows))
        self.loops[name] = known[0] + steps, min(rows, known[1])


def _lists(output: Any) -> Iterator[list[int]]:
    """The places, among the tensors of an output, of those in each list of several tensors and nothing else."""
    if isinstance(output, dict):
        output = list(output.values())
    if not isinstance(output, list | tuple) or isinstance(output, PackedSequence):
        return
    counts = [len(numeric_tensors(each)) for each in output]
    starts = [sum(counts[:place]) for place in range(len(output))]
    if len(output) > 1 and all(isinstance(each, Tensor) and count for each, count in zip(output, counts, strict=True)):
        yield starts
    for start, each in zip(starts, output, strict=True):
        for places in _lists(each):
            yield [start + place for place in places]


def _tensors(value: Any) -> list[Any]:
    leaves = tree_leaves(value, is_leaf=lambda each: isinstance(each, PackedSequence))
    return [each for each in leaves if isinstance(each, Tensor | PackedSequence)]


def _batch_axes(call: Call, rows_of_loops: set[int]) -> Iterator[BatchAxis]:
    """Every axis of the largest tensor that has two entries or more; none where the batch is a list of sequences.

    Where a list has as many tensors as a loop has sequences, it is taken for that.
    """
    given = _tensors((call.args, call.kwargs))
    if not given:
        return
    main = max(given, key=lambda each: each.data.numel())
    if isinstance(main, PackedSequence):
        rows = torch.cat([torch.arange(int(size)) for size in main.batch_sizes]).to(main.data.device)
        if (size := int(main.batch_sizes[0])) > 1:
            yield BatchAxis(main.data, None, size, rows)
        return
    lists = [each for each in (*call.args, *call.kwargs.values()) if isinstance(each, list | tuple)]
    lists = [each for each in lists if len(each) in rows_of_loops - {1}]
    if any(each is main for several in lists for each in _tensors(several)):
        return
    for index, size in enumerate(main.shape):
        if size > 1:
            yield BatchAxis(main, index, size)
            if any(list(each.data.shape[: index + 1]).count(size) > 1 for each in given if each is not main):
                yield BatchAxis(main, index, size, foremost=True)


def _differs(after: Tensor, before: Tensor) -> Tensor:
    scale = ROUNDINGS * torch.finfo(before.dtype).eps * before.abs().max()
    return (after - before).abs() > scale


def _verdict(changed: list[Tensor], axis: BatchAxis) -> str:
    """What one tensor that is returned says of an axis; `changed` with each of some entries."""
    there, shape = [bool(each.any()) for each in changed], changed[0].shape
    if not any(there):
        return "unknown"
    overlap = bool((torch.stack(changed).sum(0) > 1).any())
    if not overlap and any(_confined(changed, place) for place, size in enumerate(shape) if size == axis.size):
        return "apart"
    own = _own(shape, axis)
    flat = any(size == axis.size * other for size in shape for other in axis.main.shape)
    if not overlap and all(there) and (flat or not own):
        return "apart" if flat else "disjoint" if shape[:-1].numel() >= axis.size else "unread"
    if own or flat:
        return "mixed"
    return "pooled" if all(there) else "unread"


def _own(shape: torch.Size, axis: BatchAxis) -> list[int]:
    """Axes of what is returned that may count the entries; the last of several are features."""
    return [place for place, size in enumerate(shape) if size == axis.size and (place < len(shape) - 1 or not place)]


def _confined(changed: list[Tensor], place: int) -> bool:
    """Whether each entry changes one place of an axis at most."""
    return all(int(each.movedim(place, 0).reshape(each.shape[place], -1).any(1).sum()) <= 1 for each in changed)


def _by_place(changed: list[Tensor], axis: BatchAxis) -> Tensor:
    """Which places along the axis of what is returned each entry changes; which numbers, where it has none."""
    own = _own(changed[0].shape, axis)
    if not own:
        return torch.stack(changed).flatten(1)
    place = next((each for each in own if _confined(changed, each)), own[0])
    return torch.stack([each.movedim(place, 0).reshape(axis.size, -1).any(1) for each in changed])


def _subsets(tensor: Tensor, size: int) -> list[tuple[int, ...]]:
    """None, some or all of the axes of a size."""
    own = [place for place, each in enumerate(tensor.shape) if each == size]
    return [some for count in range(len(own) + 1) for some in combinations(own, count)]
