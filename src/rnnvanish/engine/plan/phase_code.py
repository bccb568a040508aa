"""The arithmetic of one phase as lines of code, in whatever language: each value once, lane by lane.

Lanes within which every value is computed in one way make one loop, or as many within each other as their axes; what is
one number for all lanes stands before it.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from rnnvanish.engine.ir.lowering import axes
from rnnvanish.engine.ir.operations import OPERATIONS, Operation
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Value
from rnnvanish.engine.plan.phases import Phase, Place


class Segment(NamedTuple):
    """Lanes of a value that are computed in one way.

    Attributes:
        value: What is computed; where it is a sum over an axis, what is summed.
        place: Where it goes.
        start: Its first lane.
        sum: Lanes outside of the axis that is summed over, along it and inside of it; None where nothing is summed.
    """

    value: Value
    place: Place
    start: int
    sum: tuple[int, int, int] | None


class PhaseCode(ABC):
    """Generates the arithmetic of one phase; a subclass knows how a language writes it.

    Args:
        phase: The phase.
        widths: Width of every buffer.

    Attributes:
        head: Lines for a row, before its lanes.
        body: Lines for the lanes of the loop that is generated.
        axes: How many lanes that loop has along each axis.
    """

    def __init__(self, phase: Phase, widths: dict[str, int]) -> None:
        self.phase, self.widths = phase, widths
        self.head: list[str] = []
        self.body: list[str] = []
        self.axes: tuple[int, ...] = ()
        self._singles: dict[tuple[Value, int], str] = {}
        self._lanes: dict[tuple[Value, int], str] = {}
        self._cuts: dict[Value, set[int]] = {}
        self._rows: dict[Place, str] = {}
        self._totals: dict[Place, str] = {}

    @property
    def width(self) -> int:
        """How many lanes the loop that is generated has."""
        return math.prod(self.axes)

    @abstractmethod
    def _variable(self, letter: str) -> str:
        """A name that begins with this letter, and that no other line has."""

    @abstractmethod
    def _number(self, number: float) -> str:
        """A constant."""

    @abstractmethod
    def _size(self, number: int) -> str:
        """A whole number that follows from the widths of the step."""

    @abstractmethod
    def _text(self, operation: Operation) -> str:
        """How an operation is written; `Unsupported` where that is not known."""

    @abstractmethod
    def _row_index(self, place: Place) -> str:
        """Index of the first number of the buffer's row."""

    @abstractmethod
    def _load(self, place: Place, lane: int, index: str, boolean: bool) -> str:
        """Lanes `lane` + index of a row; lane `lane` alone where the index is ""."""

    @abstractmethod
    def _load_invariant(self, name: str, lane: int, index: str) -> str:
        """The same of a vector that is computed once."""

    @abstractmethod
    def _store(self, place: Place, lane: int, index: str, result: str) -> str:
        """A line that stores what `load` loads."""

    @abstractmethod
    def _add_to(self, total: str, result: str) -> str:
        """A line that adds lanes to a sum."""

    @abstractmethod
    def _zero(self) -> str:
        """What a sum begins with."""

    @abstractmethod
    def _nest(self, before: dict[int, list[str]], after: dict[int, list[str]]) -> list[str]:
        """Loops over the lanes of all `axes` around `body`, which calls a lane j, and the index along each axis i0, i1...

        Args:
            before: Lines for a number of loops to stand in, before the next one.
            after: The same, behind it.
        """

    @abstractmethod
    def _axis_sum(self, segment: Segment) -> tuple[int, list[str], list[str]]:
        """Have `body` sum over an axis; returns in how many loops what lines stand before and behind the others."""

    def _sum_apart(self, axes: tuple[int, ...], segments: list[Segment]) -> list[str]:
        """Lines for a sum over an axis, in a language that has no loops within each other; else none."""
        return []

    def lines(self) -> list[str]:
        """The arithmetic for one row; nothing where the phase has none."""
        loops: dict[int, list[Segment]] = {}
        for value, place in self.phase.stores:
            width = value.width if value.width > 1 else self.widths[place.buffer]
            for start, size in self.segments(width, value):
                loops.setdefault(size, []).append(Segment(value, place, start, None))
        out: list[str] = []
        for total, place in self.phase.sums:
            (value,), split = total.args, total.detail
            stretches = self.segments(value.width, value)
            if len(stretches) > 1 and total.width > 1:
                raise Unsupported("sum over one axis of what is put side by side")
            if total.width > 1 and (
                lines := self._sum_apart(*self._groups(value.width, [Segment(value, place, 0, split)])[0])
            ):
                out += lines
                continue
            for start, size in stretches:
                loops.setdefault(size, []).append(Segment(value, place, start, split))
        for width, segments in sorted(loops.items()):
            for group in self._groups(width, segments):
                out += self._lane_loop(*group)
        before = [f"{total} = {self._zero()}" for total in self._totals.values()]
        after = [self._store(place, 0, "", total) for place, total in self._totals.items()]
        return self.head + before + out + after

    def segments(self, width: int, *values: Value) -> list[tuple[int, int]]:
        """Stretches of lanes, by start and width, within which each of some values is computed in one way."""
        cuts = sorted({0, width, *(cut for value in values for cut in self._cuts_of(value) if 0 < cut < width)})
        return [(start, end - start) for start, end in pairwise(cuts)]

    def lane(self, value: Value, lane: int, single: bool = False) -> str:
        """Expression for lanes `lane` + j of a value, or for lane `lane` alone; what it needs is in `head` and `body`."""
        if value.op == "constant":
            return self._number(value.detail[0])
        if value.width == 1:
            lane, single = 0, True
        known = self._singles if single else self._lanes
        if (value, lane) not in known:
            text = self._expression(value, lane, single)
            if not text.isidentifier():
                name = self._variable("v")
                (self.head if single else self.body).append(f"{name} = {text}")
                text = name
            known[value, lane] = text
        return known[value, lane]

    def row(self, place: Place) -> str:
        """Variable that holds the index of this buffer's row."""
        key = Place(place.buffer, place.shift)
        if key not in self._rows:
            self._rows[key] = self._variable("r")
            self.head.append(f"{self._rows[key]} = {self._row_index(key)}")
        return self._rows[key]

    def name(self, axis: int) -> str:
        """The index along an axis of the loop."""
        return "j" if len(self.axes) == 1 else f"i{axis}"

    def index(self, strides: Sequence[int]) -> str:
        """The lane of what has such a stride along each axis of the loop; "" where it is always the first."""
        if tuple(strides) == axes.contiguous(self.axes):
            return "j"
        return " + ".join(
            self.name(axis) if stride == 1 else f"{self.name(axis)} * {self._size(stride)}"
            for axis, stride in enumerate(strides)
            if stride
        )

    def _groups(self, width: int, segments: list[Segment]) -> list[tuple[tuple[int, ...], list[Segment]]]:
        """Segments that one loop can have, with the axes that it needs."""
        groups: list[tuple[tuple[int, ...], list[Segment]]] = []
        for segment in segments:
            own = self._sizes_of(segment.value, segment.start, width) or {(width,)}
            if segment.sum is not None and segment.sum[::2] != (1, 1):
                own.add(segment.sum)
            for at, (found, members) in enumerate(groups):
                if (joint := axes.common_axes(width, [found, *own])) is not None:
                    groups[at] = joint, [*members, segment]
                    break
            else:
                if (alone := axes.common_axes(width, list(own))) is None:
                    raise Unsupported("way to count the lanes of a row by axes of such different sizes")
                groups.append((alone, [segment]))
        return groups

    def _sizes_of(self, value: Value, start: int, width: int) -> set[tuple[int, ...]]:
        """By what sizes the lanes of a segment are counted somewhere in what it is computed from."""
        found: set[tuple[int, ...]] = set()
        seen: set[tuple[Value, int]] = set()

        def visit(value: Value, lane: int) -> None:
            if (value, lane) in seen or value in self.phase.at or value.width == 1:
                return
            seen.add((value, lane))
            if value.op == "strided":
                found.add(_some_lanes(value, lane, width)[1])
            elif value.op == "cat":
                for part in value.args:
                    if 0 <= lane < part.width:
                        visit(part, lane)
                    lane -= part.width
            else:
                for arg in value.args:
                    visit(arg, lane + (value.detail[0] if value.op == "slice" else 0))

        visit(value, start)
        return found

    def _lane_loop(self, axes: tuple[int, ...], segments: list[Segment]) -> list[str]:
        self.body, self._lanes, self.axes = [], {}, axes
        before, after = defaultdict[int, list[str]](list), defaultdict[int, list[str]](list)
        for segment in segments:
            value, place, start, split = segment
            if split is None:
                self.body.append(self._store(place, start, "j", self.lane(value, start)))
            elif split[::2] == (1, 1):
                result = self.lane(value, start)
                if place not in self._totals:  # one for all its segments
                    self._totals[place] = self._variable("v")
                self.body.append(self._add_to(self._totals[place], result))
            else:
                depth, first, last = self._axis_sum(segment)
                before[depth] += first
                after[depth] += last
        return self._nest(before, after)

    def _cuts_of(self, value: Value) -> set[int]:
        """Lanes at which the way that a value is computed changes."""
        if value not in self._cuts:
            self._cuts[value] = self._find_cuts(value)
        return self._cuts[value]

    def _find_cuts(self, value: Value) -> set[int]:
        if value in self.phase.at or value.width == 1 or value.op == "strided":
            return set()
        if value.op == "slice":
            return {cut - value.detail[0] for cut in self._cuts_of(value.args[0])}
        if value.op == "cat":
            cuts, start = set(), 0
            for part in value.args:
                cuts |= {start} | {start + cut for cut in self._cuts_of(part)}
                start += part.width
            return cuts
        return {cut for arg in value.args for cut in self._cuts_of(arg)}

    def _expression(self, value: Value, lane: int, single: bool) -> str:
        if value in self.phase.at or value.op in ("invariant", "flat"):
            return self._read(value, lane, "" if single else "j")
        if value.op == "strided":
            return self._strided(value, lane, single)
        if value.op in ("slice", "expand"):
            return self.lane(value.args[0], lane + (value.detail[0] if value.detail else 0), single)
        if value.op == "cat":
            for part in value.args:
                if lane < part.width:
                    return self.lane(part, lane, single)
                lane -= part.width
        if value.op not in OPERATIONS:
            raise Unsupported(f"{value.op} in the loop")
        return self._text(OPERATIONS[value.op]).format(*(self.lane(arg, lane, single) for arg in value.args))

    def _read(self, value: Value, lane: int, index: str) -> str:
        """Lanes of what lies in memory."""
        if value in self.phase.at:
            return self._load(self.phase.at[value], lane, index, value.boolean)
        if value.op == "slice":
            return self._read(value.args[0], lane + value.detail[0], index)
        leaf = value.args[0] if value.op == "flat" else value
        if leaf.op != "invariant":
            raise Unsupported(f"{leaf.op} in the loop")
        return self._load_invariant(f"invariant{leaf.detail[0]}", lane, index)

    def _strided(self, value: Value, lane: int, single: bool) -> str:
        if single:
            offset, sizes, strides = value.detail
            index = axes.split(lane, sizes)
            lane = offset + sum(each * stride for each, stride in zip(index, strides, strict=True))
            return self._read(value.args[0], lane, "")
        offset, sizes, strides = _some_lanes(value, lane, self.width)
        groups = axes.refine(sizes, self.axes)
        assert groups is not None
        each = [
            stride * inner for stride, group in zip(strides, groups, strict=True) for inner in axes.contiguous(group)
        ]
        return self._read(value.args[0], offset, self.index(each))


def _some_lanes(value: Value, lane: int, width: int) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """A stretch of the lanes of a view, by offset, sizes and strides."""
    offset, sizes, strides = value.detail
    index = axes.split(lane, sizes)
    offset += sum(each * stride for each, stride in zip(index, strides, strict=True))
    for axis in range(len(sizes)):
        inner = math.prod(sizes[axis + 1 :])
        if width % inner == 0 and not any(index[axis + 1 :]) and index[axis] + width // inner <= sizes[axis]:
            return offset, (width // inner, *sizes[axis + 1 :]), strides[axis:]
    raise Unsupported("way to cut the axes of a row there")
