"""The arithmetic of one phase as lines of code, in whatever language: each value once, lane by lane.

Lanes within which every value is computed in one way make one loop; what is one number for all lanes stands before it.
"""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import NamedTuple

from rnnvanish.engine.ir.operations import OPERATIONS, Operation
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Value
from rnnvanish.engine.plan.phases import Phase, Place


class Segment(NamedTuple):
    """Lanes of a value that are computed in one way.

    Attributes:
        value: What is computed.
        place: Where it goes.
        start: Its first lane.
        is_sum: Whether it is summed over the lanes, rather than stored lane by lane.
    """

    value: Value
    place: Place
    start: int
    is_sum: bool


class PhaseCode(ABC):
    """Generates the arithmetic of one phase; a subclass knows how a language writes it.

    Args:
        phase: The phase.
        widths: Width of every buffer.

    Attributes:
        head: Lines for a row, before its lanes.
        body: Lines for the lanes of the loop that is generated.
        width: How many lanes that loop has.
    """

    def __init__(self, phase: Phase, widths: dict[str, int]) -> None:
        self.phase, self.widths = phase, widths
        self.head: list[str] = []
        self.body: list[str] = []
        self.width = 0
        self._singles: dict[tuple[Value, int], str] = {}
        self._lanes: dict[tuple[Value, int], str] = {}
        self._cuts: dict[Value, set[int]] = {}
        self._rows: dict[Place, str] = {}
        self._totals: dict[Place, str] = {}

    @abstractmethod
    def _variable(self, letter: str) -> str:
        """A name that begins with this letter, and that no other line has."""

    @abstractmethod
    def _number(self, number: float) -> str:
        """A constant."""

    @abstractmethod
    def _text(self, operation: Operation) -> str:
        """How an operation is written; `Unsupported` where that is not known."""

    @abstractmethod
    def _row_index(self, place: Place) -> str:
        """Index of the first number of the buffer's row."""

    @abstractmethod
    def _load(self, place: Place, lane: int, single: bool, boolean: bool) -> str:
        """Lanes `lane` + j of a row, or lane `lane` alone where that is `single`."""

    @abstractmethod
    def _load_invariant(self, name: str, lane: int, single: bool) -> str:
        """The same of a vector that is computed once."""

    @abstractmethod
    def _store(self, place: Place, lane: int, single: bool, result: str) -> str:
        """A line that stores what `load` loads."""

    @abstractmethod
    def _add_to(self, total: str, result: str) -> str:
        """A line that adds lanes to a sum."""

    @abstractmethod
    def _zero(self) -> str:
        """What a sum begins with."""

    @abstractmethod
    def _loop(self, lines: list[str]) -> list[str]:
        """A loop over the lanes, which these lines call j."""

    def lines(self) -> list[str]:
        """The arithmetic for one row; nothing where the phase has none."""
        loops: dict[int, list[Segment]] = {}
        for is_sum, goals in ((False, self.phase.stores), (True, self.phase.sums)):
            for value, place in goals:
                width = value.width if is_sum or value.width > 1 else self.widths[place.buffer]
                for start, size in self.segments(width, value):
                    loops.setdefault(size, []).append(Segment(value, place, start, is_sum))
        out: list[str] = []
        for width, segments in sorted(loops.items()):
            out += self._lane_loop(width, segments)
        before = [f"{total} = {self._zero()}" for total in self._totals.values()]
        after = [self._store(place, 0, True, total) for place, total in self._totals.items()]
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

    def _lane_loop(self, width: int, segments: list[Segment]) -> list[str]:
        self.body, self._lanes, self.width = [], {}, width
        for value, place, start, is_sum in segments:
            result = self.lane(value, start)
            if is_sum and place not in self._totals:  # one for all its segments
                self._totals[place] = self._variable("v")
            self.body.append(
                self._add_to(self._totals[place], result) if is_sum else self._store(place, start, False, result)
            )
        return self._loop(self.body)

    def _cuts_of(self, value: Value) -> set[int]:
        """Lanes at which the way that a value is computed changes."""
        if value not in self._cuts:
            self._cuts[value] = self._find_cuts(value)
        return self._cuts[value]

    def _find_cuts(self, value: Value) -> set[int]:
        if value in self.phase.at or value.width == 1:
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
        if value in self.phase.at:
            return self._load(self.phase.at[value], lane, single, value.boolean)
        if value.op == "invariant":
            return self._load_invariant(f"invariant{value.detail[0]}", lane, single)
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
