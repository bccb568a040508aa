"""Lowering what moves along the axes of rows: shapes, parts, and the arguments of what is computed lane by lane."""

import math
from collections.abc import Sequence
from typing import Any, cast

from torch import fx

from rnnvanish.engine.ir.lowering import axes
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Kind, Stage, Value, Values

#: Which axis of a node is the batch, and how many lanes, outermost ones behind it, that axis has besides.
Batch = tuple[int, int]
FIRST: Batch = (0, 1)


class Rows:
    """Turns nodes whose result is made of lanes of their arguments into values.

    A row lies flat in its value; its axes are those of the traced node, one of which is the batch: the first one, if not
    said otherwise in `batches`.

    Args:
        values: Where they go.
        batch: The batch that was traced; no other size of the step is a multiple of it.
    """

    def __init__(self, values: Values, batch: int) -> None:
        self.values, self.batch = values, batch
        self.of: dict[fx.Node, Any] = {}
        self.batches: dict[fx.Node, Batch] = {}

    def _argument(self, arg: Any) -> Value:
        if isinstance(arg, fx.Node):
            if arg in self.batches:
                raise Unsupported("way to use what has the batch on another axis than the first")
            return cast(Value, self.of[arg])
        if isinstance(arg, int | float):
            return self.values.constant(arg)
        raise Unsupported(f"an argument {arg!r}")

    def _number(self, value: Value) -> Value:
        """One for true and zero for false."""
        if not value.boolean:
            return value
        return self.values.elementwise("where", value, self.values.constant(1.0), self.values.constant(0.0))

    def _shape(self, node: fx.Node) -> tuple[int, ...]:
        return tuple(node.meta["val"].shape)

    def _batch(self, arg: Any) -> Batch:
        return self.batches.get(arg, FIRST)

    def _moved(self, node: fx.Node, value: Value, batch: Batch) -> Value:
        """A value whose batch is where it is said to be."""
        if batch != FIRST and value.kind == Kind.ROW:
            self.batches[node] = batch
        return value

    def _lanes(self, node: fx.Node) -> tuple[Value, list[int]]:
        """The value of a node, a matrix as a vector, and its sizes: that of the batch is how many lanes count as batch."""
        value, sizes = cast(Value, self.of[node]), list(self._shape(node))
        if value.kind == Kind.ROW:
            axis, lanes = self._batch(node)
            sizes[axis] = lanes
        elif value.kind == Kind.MATRIX:
            value = self.values.value(
                "flat", (value,), kind=Kind.VECTOR, stage=value.stage, shape=(1, value.shape[0] * value.width)
            )
        if value.kind == Kind.REDUCED:
            raise Unsupported("a gradient in the arithmetic of a step")
        return value, sizes

    def _broadcast(self, node: fx.Node, args: Sequence[Any]) -> list[Value]:
        """The arguments of an operation lane by lane, each with all lanes of the result, or one; says where its batch is."""
        nodes = [arg for arg in args if isinstance(arg, fx.Node)]
        dims = len(self._shape(node))
        found = {
            (dims - len(self._shape(arg)) + axis, lanes)
            for arg in nodes
            if self.of[arg].kind == Kind.ROW
            for axis, lanes in [self._batch(arg)]
        }
        if len(found) > 1:
            raise Unsupported("way to compute with batches on different axes")
        sizes = list(self._shape(node))
        for axis, lanes in found:
            sizes[axis] = lanes
            if (axis, lanes) != FIRST:
                self.batches[node] = axis, lanes
        return [self._spread(arg, sizes) if isinstance(arg, fx.Node) else self._argument(arg) for arg in args]

    def _spread(self, arg: fx.Node, to: list[int]) -> Value:
        """The value of a node with as many lanes as all sizes make, or one."""
        value, sizes = self._lanes(arg)
        return axes.broadcast(self.values, value, [1] * (len(to) - len(sizes)) + sizes, to)

    def _expanded(self, value: Value, node: fx.Node) -> Value:
        """A vector or a number in the shape that it has in the graph; a row where that has a batch."""
        shape = list(self._shape(node))
        rows = len(shape) > 0 and shape[0] == self.batch
        width = math.prod(shape[1:] if rows else shape)
        if value.width == width and (value.kind == Kind.ROW) == rows:
            return value
        return self.values.value(
            "expand",
            (value,),
            kind=Kind.ROW if rows else Kind.VECTOR,
            stage=max(value.stage, Stage.ALL if rows else Stage.ONCE),
            shape=(1, width),
            boolean=value.boolean,
        )

    def _expand(self, node: fx.Node) -> Value:
        source, shape = cast(fx.Node, node.args[0]), list(self._shape(node))
        value = cast(Value, self.of[source])
        if self._shape(source) == tuple(shape):
            return self._moved(node, value, self._batch(source))
        if value.kind != Kind.ROW:
            return self._expanded(self._spread(source, [1, *shape[1:]] if shape[0] == self.batch else shape), node)
        (value,) = self._broadcast(node, [source])
        width = math.prod(shape) // self.batch
        if value.width == width:
            return value
        return self.values.value(
            "expand", (value,), kind=Kind.ROW, stage=value.stage, shape=(1, width), boolean=value.boolean
        )

    def _reshaped(self, node: fx.Node) -> Value:
        source, shape = cast(fx.Node, node.args[0]), self._shape(node)
        value = cast(Value, self.of[source])
        if value.kind == Kind.REDUCED:
            height, width = math.prod(shape[:-1]), shape[-1] if shape else 1
            return self.values.value(
                "reshape", (value,), kind=Kind.REDUCED, stage=value.stage, shape=(int(height), int(width))
            )
        if value.kind == Kind.MATRIX:
            if self._shape(source) == shape:
                return value
            return self._lanes(source)[0]
        if value.kind == Kind.VECTOR:
            return value
        axis, _ = self._batch(source)
        before = math.prod(self._shape(source)[:axis])
        for new, size in enumerate(shape):
            if size % self.batch == 0 and math.prod(shape[:new]) == before:
                return self._moved(node, value, (new, size // self.batch))
        raise Unsupported(f"{node.target} across the batch")

    def _permute(self, node: fx.Node) -> Value:
        source = cast(fx.Node, node.args[0])
        value, dims = cast(Value, self.of[source]), len(self._shape(source))
        order = [axis % dims for axis in cast(Any, node.args[1])] if len(node.args) > 1 else list(range(dims))[::-1]
        if order == list(range(dims)):
            return self._moved(node, value, self._batch(source))
        if value.kind in (Kind.MATRIX, Kind.REDUCED) and order == [1, 0]:
            if value.op == "transpose":
                return value.args[0]
            return self.values.value(
                "transpose", (value,), kind=value.kind, stage=value.stage, shape=(value.shape[1], value.shape[0])
            )
        value, sizes = self._lanes(source)
        axis, lanes = self._batch(source)
        return self._moved(node, axes.permute(self.values, value, sizes, order), (order.index(axis), lanes))

    _t = _permute

    def _transpose(self, node: fx.Node) -> Value:
        source = cast(fx.Node, node.args[0])
        dims = len(self._shape(source))
        order = list(range(dims))
        one, other = (cast(int, each) % dims for each in node.args[1:3])
        order[one], order[other] = other, one
        value, sizes = self._lanes(source)
        axis, lanes = self._batch(source)
        return self._moved(node, axes.permute(self.values, value, sizes, order), (order.index(axis), lanes))

    # Parts

    def _slice(self, node: fx.Node) -> Value:
        source = cast(fx.Node, node.args[0])
        dim, start, end, step = _with_defaults(node.args[1:])
        return self._indices(node, source, dim, start, end, step)

    def _select(self, node: fx.Node) -> Value:
        source, dim, index = cast(fx.Node, node.args[0]), cast(int, node.args[1]), cast(int, node.args[2])
        shape = self._shape(source)
        index += shape[dim] if index < 0 else 0
        dim %= len(shape)
        axis, lanes = self._batch(source)
        value = self._indices(node, source, dim, index, index + 1, 1)
        self.batches.pop(node, None)
        return self._moved(node, value, (axis - (dim < axis), lanes))

    def _indices(self, node: fx.Node, source: fx.Node, dim: int, start: int, end: int, step: int) -> Value:
        """Some of the indices of an axis."""
        size = self._shape(source)[dim]
        dim %= len(self._shape(source))
        start, end = (min(each if each >= 0 else each + size, size) for each in (start, end))
        if (start, end, step) == (0, size, 1):
            return self._moved(node, self.of[source], self._batch(source))
        value, sizes = self._lanes(source)
        batch = self._batch(source)
        if value.kind == Kind.ROW and dim == batch[0]:
            raise Unsupported("a slice of the batch")
        strides = list(axes.contiguous(sizes))
        offset, sizes[dim] = start * strides[dim], -(-(end - start) // step)
        strides[dim] *= step
        return self._moved(node, axes.strided(self.values, value, offset, sizes, strides), batch)

    def _flip(self, node: fx.Node) -> Value:
        source = cast(fx.Node, node.args[0])
        value, sizes = self._lanes(source)
        strides, offset = list(axes.contiguous(sizes)), 0
        for dim in cast(Any, node.args[1]):
            if value.kind == Kind.ROW and dim % len(sizes) == self._batch(source)[0]:
                raise Unsupported("a batch in reverse order")
            offset += strides[dim] * (sizes[dim] - 1)
            strides[dim] = -strides[dim]
        return self._moved(node, axes.strided(self.values, value, offset, sizes, strides), self._batch(source))

    def _split_with_sizes(self, node: fx.Node) -> list[Value]:
        source, sizes = cast(fx.Node, node.args[0]), cast(list[int], node.args[1])
        dim = cast(int, node.args[2]) if len(node.args) > 2 else 0
        if source in self.batches:
            raise Unsupported(str(node.target))
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        return [
            self._indices(node, source, dim, start, start + size, 1) for start, size in zip(starts, sizes, strict=True)
        ]

    def _unbind(self, node: fx.Node) -> list[Value]:
        source, dim = cast(fx.Node, node.args[0]), cast(int, node.args[1]) if len(node.args) > 1 else 0
        if source in self.batches or dim % len(self._shape(source)) == 0:
            raise Unsupported(str(node.target))
        return [self._indices(node, source, dim, index, index + 1, 1) for index in range(self._shape(source)[dim])]

    def _cat(self, node: fx.Node) -> Value:
        sources = cast(list[fx.Node], node.args[0])
        parts, sizes = zip(*map(self._lanes, sources), strict=True)
        dim = (cast(int, node.args[1]) if len(node.args) > 1 else 0) % len(sizes[0])
        kinds = {part.kind for part in parts}
        batches = {self._batch(source) for source in sources}
        if kinds == {Kind.ROW} and len(batches) == 1 and dim != next(iter(batches))[0]:
            return self._moved(node, axes.concatenate(self.values, parts, sizes, dim), *batches)
        if kinds == {Kind.VECTOR}:
            return axes.concatenate(self.values, parts, sizes, dim)
        raise Unsupported("cat along the batch")

    def _slice_scatter(self, node: fx.Node) -> Value:
        base, source = cast(fx.Node, node.args[0]), cast(fx.Node, node.args[1])
        dim, start, _, step = _with_defaults(node.args[2:])
        (value, sizes), (new, _) = self._lanes(base), self._lanes(source)
        dim %= len(sizes)
        if (value.kind == Kind.ROW and dim == 0) or step != 1 or {base, source} & self.batches.keys():
            raise Unsupported(str(node.target))
        start += sizes[dim] if start < 0 else 0
        parts, lengths = list[Value](), list[int]()
        end = start + self._shape(source)[dim]
        for first, last in ((0, start), (start, end), (end, sizes[dim])):
            if last > first:
                strides = axes.contiguous(sizes)
                length = [*sizes[:dim], last - first, *sizes[dim + 1 :]]
                old = axes.strided(self.values, value, first * strides[dim], length, strides)
                parts.append(self._as_row(new if first == start and last == end else old, math.prod(length)))
                lengths.append(last - first)
        shapes = [[*sizes[:dim], length, *sizes[dim + 1 :]] for length in lengths]
        return axes.concatenate(self.values, parts, shapes, dim)

    def _as_row(self, value: Value, width: int) -> Value:
        """A row of the width that it has, also where one number stands for all of it."""
        if value.width == width and value.kind == Kind.ROW:
            return value
        return self.values.value("expand", (value,), kind=Kind.ROW, stage=max(value.stage, Stage.ALL), shape=(1, width))


def _with_defaults(given: tuple[Any, ...]) -> tuple[int, int, int, int]:
    """What a slice is told: dimension, start, end and step."""
    dim, start, end, step = [*given, None, None, None][:4]
    return dim or 0, start or 0, 2**62 if end is None else end, step or 1
