"""What a step computes, as values: each knows from what it is computed, and whether it needs the state.

A row has numbers for each sequence, (batch, width). What depends on parameters alone is a matrix, or a vector that is
the same for every sequence. Equal computations are one value: so the backward pass of a step finds in it what the
forward pass has computed already.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, cast

from rnnvanish.engine.ir.operations import OPERATIONS
from rnnvanish.engine.ir.unsupported import Unsupported


class Stage(IntEnum):
    """When a value can be computed."""

    ONCE = 0  # from parameters alone: before the loop
    ALL = 1  # from parameters and input: for all time steps at once, before the loop
    STEP = 2  # from the state: step by step


class Kind(IntEnum):
    """What shape a value has."""

    ROW = 0  # (batch, width)
    VECTOR = 1  # (1, width): the same for every sequence
    MATRIX = 2  # (height, width): only ever multiplied by a row
    REDUCED = 3  # a sum over sequences and over time: the gradient of something that is computed once


@dataclass(frozen=True, eq=False, repr=False)
class Value:
    """One value of a step.

    Attributes:
        op: Name of the operation: a leaf ("input", "state", "gradient", "invariant", "constant"), one of
            `OPERATIONS`, or one of "linear" (rest + row @ matrix + ...), "sum" (over an axis of a row), "slice",
            "strided", "cat", "expand"; of matrices "transpose", "block", "flat" (as a vector); of what is summed over
            sequences "outer", "colsum", "stack", "reshape".
        args: What it is computed from.
        detail: Numbers that belong to the operation: which leaf, where a slice starts.
        shape: (height, width); the height of a row is the batch and does not count.
        boolean: Whether it is true or false.
    """

    op: str
    args: tuple["Value", ...]
    detail: tuple[Any, ...]
    kind: Kind
    stage: Stage
    shape: tuple[int, int]
    boolean: bool = False

    @property
    def width(self) -> int:
        """Numbers for each sequence."""
        return self.shape[1]

    def __repr__(self) -> str:
        return f"{self.op}{list(self.detail) or ''}({', '.join(arg.op for arg in self.args)})"


@dataclass
class Values:
    """Every value of a step and of its backward pass, each only once."""

    known: dict[tuple[Any, ...], Value] = field(default_factory=dict)

    def value(
        self,
        op: str,
        args: Iterable[Value] = (),
        detail: tuple[Any, ...] = (),
        *,
        kind: Kind,
        stage: Stage,
        shape: tuple[int, int],
        boolean: bool = False,
    ) -> Value:
        """Return the value of this computation."""
        args = tuple(args)
        key = (op, tuple(map(id, args)), detail, kind, shape)
        return self.known.setdefault(key, Value(op, args, detail, kind, stage, shape, boolean))

    def constant(self, number: float) -> Value:
        """Return a number that is written in the cell."""
        return self.value("constant", (), (float(number),), kind=Kind.VECTOR, stage=Stage.ONCE, shape=(1, 1))

    def elementwise(self, op: str, *args: Value) -> Value:
        """Apply an operation lane by lane; an argument of one lane counts for all lanes."""
        if any(arg.kind not in (Kind.ROW, Kind.VECTOR) for arg in args):
            raise Unsupported(f"{op} of a matrix and something that changes with the state")
        widths = {arg.width for arg in args} - {1}
        if len(widths) > 1:
            raise Unsupported(f"{op} of widths {sorted(widths)}")
        kind = Kind.ROW if any(arg.kind == Kind.ROW for arg in args) else Kind.VECTOR
        boolean = OPERATIONS[op].boolean or (op == "where" and args[1].boolean)
        stage = max(arg.stage for arg in args)
        return self.value(op, args, kind=kind, stage=stage, shape=(1, max(widths, default=1)), boolean=boolean)

    def linear(self, rest: Value | None, products: Iterable[tuple[Value, Value]], heads: int = 1) -> Value:
        """Return rest + row @ matrix + ...; what needs no state is split off, for all time steps at once.

        Vectors are added last: lane by lane they are free, and what a product is added to must be written out first. Of
        several heads side by side in a row each is multiplied by the matrix.
        """
        products = list(products)
        vectors = [term for term in _terms(rest) if term.kind == Kind.VECTOR]
        if vectors:
            others = [term for term in _terms(rest) if term.kind != Kind.VECTOR]
            return self.elementwise(
                "add", self.linear(self.total(others), products, heads), cast(Value, self.total(vectors))
            )
        early = [product for product in products if product[0].stage < Stage.STEP]
        late = [product for product in products if product[0].stage == Stage.STEP]
        step = [term for term in _terms(rest) if term.stage == Stage.STEP]
        if early and (late or step):
            first = self._linear(self.total([term for term in _terms(rest) if term.stage < Stage.STEP]), early, heads)
            whole = cast(Value, self.total([first, *step]))
            return self._linear(whole, late, heads) if late else whole
        return self._linear(rest, products, heads)

    def terms_of(self, value: Value) -> tuple[Value | None, list[tuple[Value, Value]]]:
        """Take a value apart as `products_of` does, with the vector that `linear` adds; no products where it has none.

        Nor where each head is multiplied by itself.
        """
        if value.op == "add" and _is_product(value.args[0]) and value.args[1].kind == Kind.VECTOR:
            rest, products = products_of(value.args[0])
            return self.total([value.args[1]] if rest is None else [rest, value.args[1]]), products
        return products_of(value) if _is_product(value) else (value, [])

    def _linear(self, rest: Value | None, products: list[tuple[Value, Value]], heads: int) -> Value:
        width = products[0][1].width * heads
        args = ([] if rest is None else [rest]) + [part for product in products for part in product]
        stage = max(arg.stage for arg in args)
        return self.value(
            "linear", args, (rest is not None, heads), kind=Kind.ROW, stage=max(stage, Stage.ALL), shape=(1, width)
        )

    def total(self, terms: list[Value]) -> Value | None:
        """Return the sum of some terms, of those that are known earliest first."""
        result = None
        for term in sorted(terms, key=lambda term: (term.stage, term.kind == Kind.ROW)):
            result = term if result is None else self.elementwise("add", result, term)
        return result


def _terms(value: Value | None) -> Iterator[Value]:
    """The terms of a sum."""
    if value is not None and value.op == "add":
        for arg in value.args:
            yield from _terms(arg)
    elif value is not None:
        yield value


def _is_product(value: Value) -> bool:
    return value.op == "linear" and value.detail[1] == 1


def products_of(linear: Value) -> tuple[Value | None, list[tuple[Value, Value]]]:
    """Take a linear value apart: what is added, and the products."""
    rest = linear.args[0] if linear.detail[0] else None
    parts = linear.args[1:] if linear.detail[0] else linear.args
    return rest, list(zip(parts[::2], parts[1::2], strict=True))


def walk(roots: Iterable[Value], known: Container[Value]) -> list[Value]:
    """What must be computed for `roots`, arguments first, where `known` is there already."""
    found: dict[Value, None] = {}

    def visit(value: Value) -> None:
        if value in found or value in known:
            return
        for arg in value.args:
            visit(arg)
        found[value] = None

    for root in roots:
        visit(root)
    return list(found)
