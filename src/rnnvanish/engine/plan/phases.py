"""The phases of a step in a loop: arithmetic lane by lane, then matrix products, and so on.

A code generator turns phases into code, and needs to know nothing of cells.
"""

from dataclasses import dataclass, field

import torch

from rnnvanish.engine.ir.operations import OPERATIONS
from rnnvanish.engine.ir.values import Kind, Stage, Value, products_of, walk

#: The numbers that code is generated for.
DTYPES = {torch.float32: "float32", torch.float64: "float64"}


@dataclass(frozen=True)
class Place:
    """Where a row lies.

    Attributes:
        buffer: Name of the memory: "x", "ended", "draw0", "early0", "state0", "kept0", "tape0" have a row for each
            step and sequence; "scratch0" has one for each sequence, "total0" too, where what is stored at every step
            is summed, and "carry0", the gradient of a state, those of two steps.
        shift: Steps from the one that is computed.
        lane: Where in the buffer's row it begins.
    """

    buffer: str
    shift: int = 0
    lane: int = 0

    @property
    def sums(self) -> bool:
        """Whether what is stored here is added to what is there."""
        return self.buffer.startswith("total")

    def row_index(self, width: str, sequence: str) -> str:
        """Code for the index of the first number of the buffer's row; `t`, `batch` and `mask` are names in the loop."""
        if self.buffer.startswith(("scratch", "total")):
            return f"{sequence} * {width}"
        step = f"(t + {self.shift})" if self.shift else "t"
        if self.buffer.startswith("carry"):
            step = f"({step} & mask)"
        return f"({step} * batch + {sequence}) * {width}"


@dataclass(frozen=True)
class Product:
    """out ← left @ matrix, or out ← out + left @ matrix; of several heads, which fill both rows, for each."""

    left: Place
    height: int
    matrix: Value
    out: Place
    accumulate: bool
    heads: int = 1


@dataclass
class Phase:
    """Arithmetic lane by lane, then matrix products.

    Attributes:
        at: Where the values lie that are known before it.
        stores: What it computes, and where that goes.
        sums: Sums over lanes of what it computes, and where they go.
        products: What follows.
    """

    at: dict[Value, Place]
    stores: list[tuple[Value, Place]] = field(default_factory=list)
    sums: list[tuple[Value, Place]] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)


@dataclass
class LoopPlan:
    """What a loop over time does, and where its numbers lie.

    Attributes:
        phases: Those of one step.
        widths: Of the buffers that the loop needs for itself.
        kept: What lies in memory after it, for all time steps.
        in_place: Stretches of lanes (buffer, first, end) that a phase writes over what it has read there.
    """

    phases: list[Phase]
    widths: dict[str, int]
    kept: dict[Value, Place]
    in_place: list[tuple[str, int, int]] = field(default_factory=list)


def schedule(stores: list[tuple[Value, Place]], at: dict[Value, Place], name: str, live: list[Value]) -> LoopPlan:
    """Order what a step must compute into phases.

    Args:
        stores: What it must compute, and where that goes.
        at: Where the values lie that are known before it.
        name: Of the buffers for what enters and leaves a product: "kept" has them for all time steps.
        live: All values that are used, to see who else reads what is overwritten.
    """
    return _Scheduler(stores, at, name, live).plan()


class _Scheduler:
    def __init__(self, stores: list[tuple[Value, Place]], at: dict[Value, Place], name: str, live: list[Value]) -> None:
        self.stores, self.name, self.live = stores, name, live
        self.widths: dict[str, int] = {}
        self.level: dict[Value, int] = {}  # the phase in which a value can be computed
        self.available = {value: (0, place) for value, place in at.items()}  # the phase from which on it lies in memory
        self.written = self._find_written()
        for value, _ in stores:
            self._find_level(value)
        self.phases = [Phase({}) for _ in range(1 + max(self.level.values(), default=0))]

    def plan(self) -> LoopPlan:
        goals = {value: place for value, place in reversed(self.stores) if value not in self.available}
        linear = [value for value in self.level if value.op == "linear"]
        for value, place in self.stores:
            if value.op != "linear" or goals.get(value) != place:
                self._store(value, place)
        for value in linear:
            self._multiply(value, goals.get(value))
        for value in self.level:
            if value.op == "sum":
                place = self._fresh(self.name, value.width)
                self.phases[self.level[value] - 1].sums.append((value, place))
                self.available[value] = (self.level[value], place)
        for value in self.written:
            if value not in self.available:
                self._store(value, self._fresh("scratch", value.width))
        self._keep_across_phases()
        for index, phase in enumerate(self.phases):
            phase.at = {value: place for value, (first, place) in self.available.items() if first <= index}
        used = [phase for phase in self.phases if phase.stores or phase.sums or phase.products]
        kept = {value: place for value, (_, place) in self.available.items() if not place.buffer.startswith("scratch")}
        return LoopPlan(used, self.widths, kept)

    def _find_level(self, value: Value) -> int:
        if value not in self.level:
            if value in self.available or value.stage == Stage.ONCE:
                return 0
            last = max((self._find_level(arg) + (arg in self.written) for arg in value.args), default=0)
            self.level[value] = last + (value.op in ("linear", "sum"))
        return self.level[value]

    def _find_written(self) -> dict[Value, None]:
        """What is written out, as any of its lanes may be read: views have it as it lies, sums over an axis row by row."""
        found: dict[Value, None] = {}

        def put_side_by_side(value: Value) -> list[Value]:
            if value in self.available:
                return []
            if value.op == "cat":
                return [value]
            inside = value.op in OPERATIONS or value.op in ("slice", "expand")
            return [each for arg in value.args for each in put_side_by_side(arg)] if inside else []

        for value in walk([value for value, _ in self.stores], self.available):
            if value.op == "strided" and not self._lies(value.args[0]):
                found[value.args[0]] = None
            if value.op == "sum" and value.width > 1:
                found |= dict.fromkeys(put_side_by_side(value.args[0]))
        return found

    def _lies(self, value: Value) -> bool:
        """Whether a value lies in memory once it is known, so that any of its lanes can be read."""
        if value.op == "slice" and value not in self.available:
            return self._lies(value.args[0])
        return value in self.available or value.op in ("invariant", "flat", "linear", "sum")

    def _fresh(self, name: str, width: int) -> Place:
        buffer = f"{name}{len(self.widths)}"
        self.widths[buffer] = width
        return Place(buffer)

    def _store(self, value: Value, place: Place) -> None:
        level = self._find_level(value)
        self.phases[level].stores.append((value, place))
        self.available.setdefault(value, (level + 1, place))

    def _multiply(self, value: Value, out: Place | None) -> None:
        """Have a linear value computed: what is added first, then the products on top of it."""
        rest, products = products_of(value)
        heads = value.detail[1]
        level, accumulate = self.level[value], rest is not None
        if out is None and rest is not None and self._is_free(rest, value):
            out = self.available[rest][1]
        else:
            out = out or self._fresh(self.name, value.width)
            if rest is not None:
                self.phases[level - 1].stores.append((rest, out))
        for left, matrix in products:
            place = self._resolve(left, heads)
            self.phases[level - 1].products.append(Product(place, left.width // heads, matrix, out, accumulate, heads))
            accumulate = True
        self.available[value] = (level, out)

    def _is_free(self, rest: Value, reader: Value) -> bool:
        """Whether `reader` may be written over `rest`: made for this loop, and read by nobody else."""
        return (
            rest.op == "linear"
            and rest.width == reader.width
            and rest in self.available
            and self.available[rest][1].buffer.startswith("early")
            and not any(rest in other.args for other in self.live if other is not reader)
        )

    def _resolve(self, left: Value, heads: int) -> Place:
        """Where a factor lies, or is put: several heads in rows that have nothing else, as they are rows themselves."""
        if left in self.available and (heads == 1 or self._fills(left)):
            return self.available[left][1]
        if heads == 1 and left.op == "slice" and (left.args[0] in self.available or left.args[0].op == "linear"):
            base = self._resolve(left.args[0], 1)
            return Place(base.buffer, base.shift, base.lane + left.detail[0])
        place = self._fresh(self.name, left.width)
        self._store(left, place)
        return place

    def _fills(self, value: Value) -> bool:
        """Whether a value is all that the rows have in which it lies."""
        place = self.available[value][1]
        return place.lane == 0 and (
            place.buffer.startswith(("state", "carry")) or self.widths.get(place.buffer) == value.width
        )

    def _keep_across_phases(self) -> None:
        """Keep what one phase computes and a later one needs again."""
        computed: dict[Value, int] = {}
        seen: set[tuple[Value, int]] = set()  # once each: the ways to a value are many

        def visit(value: Value, index: int) -> None:
            if (value, index) in seen:
                return
            seen.add((value, index))
            first, _ = self.available.get(value, (len(self.phases) + 1, None))
            if first <= index or value.kind != Kind.ROW:
                return
            again = computed.setdefault(value, index) < index
            if again and not value.boolean and value.op not in ("slice", "strided", "cat", "expand"):
                place = self._fresh("scratch", value.width)
                self.phases[computed[value]].stores.append((value, place))
                self.available[value] = (computed[value] + 1, place)
                return
            for arg in value.args:
                visit(arg, index)

        for index, phase in enumerate(self.phases):
            for value, _ in [*phase.stores, *phase.sums]:
                visit(value, index)
