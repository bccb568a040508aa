"""Lowering a traced step: from the operations of torch to values."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx

from rnnvanish.compat import tree_leaves
from rnnvanish.engine.ir.operations import NAMES
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Kind, Stage, Value, Values

aten = torch.ops.aten
IDENTITIES = {"clone", "detach", "alias", "lift_fresh_copy", "contiguous", "_to_copy"}
RESHAPES = {"view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "expand"}
FILLS: dict[str, Callable[..., Any]] = {
    "full": lambda shape, number: number,
    "full_like": lambda like, number: number,
    "scalar_tensor": lambda number: number,
    "empty_permuted": lambda shape, order: math.nan,  # only ever asked for its shape
    "zeros": lambda shape: 0.0,
    "zeros_like": lambda like: 0.0,
    "new_zeros": lambda like, shape: 0.0,
    "ones": lambda shape: 1.0,
    "ones_like": lambda like: 1.0,
    "new_ones": lambda like, shape: 1.0,
}


class Lowering:
    """Turns the nodes of one traced graph into values.

    Args:
        values: Where they go.
        batch: The batch that was traced; no other size of the step equals it.
    """

    def __init__(self, values: Values, batch: int) -> None:
        self.values, self.batch = values, batch
        self.of: dict[fx.Node, Any] = {}

    def lower(self, graph: fx.Graph, inputs: Sequence[Value]) -> list[Value]:
        """Return the values of what a graph returns, from those of its placeholders."""
        remaining = iter(inputs)
        for node in graph.nodes:
            if node.op == "placeholder":
                self.of[node] = next(remaining)
            elif node.op == "output":
                return [self._argument(out) for out in tree_leaves(node.args[0])]
            elif node.op == "get_attr":
                self.of[node] = self._attribute(node)
            elif node.users:
                self.of[node] = self._call(node)
        raise Unsupported("a step that returns nothing")

    def _attribute(self, node: fx.Node) -> Value:
        tensor = operator.attrgetter(cast(str, node.target))(node.graph.owning_module)
        if not isinstance(tensor, Tensor) or tensor.numel() != 1:
            raise Unsupported("a tensor that is neither input nor parameter nor buffer")
        return self.values.constant(tensor.item())

    def _argument(self, arg: Any) -> Value:
        if isinstance(arg, fx.Node):
            return cast(Value, self.of[arg])
        if isinstance(arg, int | float):
            return self.values.constant(arg)
        raise Unsupported(f"an argument {arg!r}")

    def _call(self, node: fx.Node) -> Any:
        if node.target is operator.getitem:
            return self.of[cast(fx.Node, node.args[0])][node.args[1]]
        name = getattr(node.target, "__name__", str(node.target)).partition(".")[0]
        dtype = getattr(node.meta.get("val"), "dtype", None)
        if dtype is not None and dtype.is_complex:
            raise Unsupported(f"{name} of complex numbers")
        special = getattr(self, f"_{name}", None)
        if special is not None:
            return special(node)
        if name in IDENTITIES:
            if dtype != cast(fx.Node, node.args[0]).meta["val"].dtype:
                raise Unsupported(f"a change of dtype, {name}")
            return self._argument(node.args[0])
        if name in RESHAPES:
            return self._reshaped(node)
        if name in FILLS:
            number = FILLS[name](*node.args)
            return self._shaped(self.values.constant(float(number)), node)
        if name not in NAMES or node.kwargs:  # a rounding mode, decimals: another operation of the same name
            raise Unsupported(str(node.target))
        return self.values.elementwise(NAMES[name], *map(self._argument, node.args))

    def _shape(self, node: fx.Node) -> tuple[int, ...]:
        return tuple(node.meta["val"].shape)

    def _shaped(self, value: Value, node: fx.Node) -> Value:
        """Give a vector or a number the shape that it has in the graph."""
        shape = self._shape(node)
        if len(shape) > 2:
            raise Unsupported(f"{node.target} to {len(shape)} dimensions")
        width = shape[-1] if shape else 1
        rows = len(shape) == 2 and shape[0] == self.batch
        if value.width == width and (value.kind == Kind.ROW) == rows:
            return value
        if value.width not in (1, width) or (value.kind == Kind.ROW and not rows):
            raise Unsupported(f"{node.target} of a row")
        return self.values.value(
            "expand",
            (value,),
            kind=Kind.ROW if rows else Kind.VECTOR,
            stage=max(value.stage, Stage.ALL if rows else Stage.ONCE),
            shape=(1, width),
            boolean=value.boolean,
        )

    def _reshaped(self, node: fx.Node) -> Value:
        value, shape = self._argument(node.args[0]), self._shape(node)
        if value.kind == Kind.REDUCED:
            height, width = (1, *shape)[-2:] if shape else (1, 1)
            return self.values.value(
                "reshape", (value,), kind=Kind.REDUCED, stage=value.stage, shape=(int(height), int(width))
            )
        if value.kind == Kind.MATRIX:
            if value.shape == shape:
                return value
            raise Unsupported(f"{node.target} of a matrix")
        return self._shaped(value, node)

    # Sums and products

    def _add(self, node: fx.Node) -> Value:
        left, right = self._argument(node.args[0]), self._argument(node.args[1])
        alpha = node.kwargs.get("alpha", 1)
        if left.kind == Kind.REDUCED or right.kind == Kind.REDUCED:
            if alpha != 1 or left.shape != right.shape:
                raise Unsupported("a weighted sum of gradients")
            return self.values.value(
                "add", (left, right), kind=Kind.REDUCED, stage=max(left.stage, right.stage), shape=left.shape
            )
        if alpha != 1:
            right = self.values.elementwise("mul", right, self.values.constant(cast(float, alpha)))
        mergeable = [
            value
            for value, arg in ((left, node.args[0]), (right, node.args[1]))
            if self.values.terms_of(value)[1] and len(cast(fx.Node, arg).users) == 1
        ]
        others = [value for value in (left, right) if not any(value is merged for merged in mergeable)]
        if not mergeable or any(other.width not in (1, left.width, right.width) for other in others):
            return self.values.elementwise("add", left, right)
        if len(mergeable) == 2 and left is right:
            return self.values.elementwise("add", left, right)
        rests, products = list(others), []
        for merged in mergeable:
            rest, more = self.values.terms_of(merged)
            rests += [] if rest is None else [rest]
            products += more
        if any(rest.width > products[0][1].width for rest in rests):
            return self.values.elementwise("add", left, right)
        return self.values.linear(self.values.total(rests), products)

    def _sub(self, node: fx.Node) -> Value:
        left, right = self._argument(node.args[0]), self._argument(node.args[1])
        alpha = node.kwargs.get("alpha", 1)
        if alpha != 1:
            right = self.values.elementwise("mul", right, self.values.constant(cast(float, alpha)))
        return self.values.elementwise("sub", left, right)

    def _mm(self, node: fx.Node) -> Value:
        left, right = self._argument(node.args[0]), self._argument(node.args[1])
        return self._product(None, left, right)

    def _addmm(self, node: fx.Node) -> Value:
        if node.kwargs:
            raise Unsupported("a weighted addmm")
        rest, left, right = map(self._argument, node.args)
        return self._product(rest, left, right)

    def _product(self, rest: Value | None, left: Value, right: Value) -> Value:
        if left.op == "transposed_rows" and right.kind == Kind.ROW and rest is None:
            row = left.args[0]
            stage = max(row.stage, right.stage)
            return self.values.value(
                "outer", (row, right), kind=Kind.REDUCED, stage=stage, shape=(row.width, right.width)
            )
        if left.kind == Kind.ROW and right.kind == Kind.VECTOR:  # a matrix of one row
            product = self.values.elementwise("mul", left, right)
            return product if rest is None else self.values.elementwise("add", rest, product)
        if left.kind != Kind.ROW or right.kind != Kind.MATRIX:
            raise Unsupported("a product of matrices that change with the state")
        return self.values.linear(rest, [(left, right)])

    def _permute(self, node: fx.Node) -> Value:
        value = self._argument(node.args[0])
        if len(node.args) > 1 and list(cast(Any, node.args[1])) not in ([1, 0], [-1, 0], [1, -2]):
            raise Unsupported(f"permute {node.args[1]}")
        if value.op in ("transpose", "transposed_rows"):
            return value.args[0]
        if value.kind == Kind.VECTOR and value.width == 1:
            return value
        op = "transposed_rows" if value.kind == Kind.ROW else "transpose"
        kind = Kind.REDUCED if value.kind == Kind.REDUCED else Kind.MATRIX
        return self.values.value(op, (value,), kind=kind, stage=value.stage, shape=(value.shape[1], value.shape[0]))

    def _sum(self, node: fx.Node) -> Value:
        value = self._argument(node.args[0])
        dims = {dim % 2 for dim in cast(Any, node.args[1])} if len(node.args) > 1 and node.args[1] else {0, 1}
        if value.kind == Kind.REDUCED:
            shape = (1 if 0 in dims else value.shape[0], 1 if 1 in dims else value.shape[1])
            return self.values.value("reshape", (value,), kind=Kind.REDUCED, stage=value.stage, shape=shape)
        if value.kind != Kind.ROW:
            raise Unsupported("the sum of a vector")
        if dims == {1}:
            if len(self._shape(node)) != 2:
                raise Unsupported("a sum over units without keepdim")
            return self._rowsum(value)
        reduced = self.values.value("colsum", (value,), kind=Kind.REDUCED, stage=value.stage, shape=(1, value.width))
        if dims == {0}:
            return reduced
        return self.values.value("reshape", (reduced,), kind=Kind.REDUCED, stage=value.stage, shape=(1, 1))

    def _rowsum(self, value: Value) -> Value:
        return self.values.value("rowsum", (value,), kind=Kind.ROW, stage=value.stage, shape=(1, 1))

    def _mean(self, node: fx.Node) -> Value:
        value = self._argument(node.args[0])
        if value.kind != Kind.ROW or {dim % 2 for dim in cast(Any, node.args[1])} != {1} or len(self._shape(node)) != 2:
            raise Unsupported("a mean that is not over the units of a step")
        return self.values.elementwise("mul", self._rowsum(value), self.values.constant(1 / value.width))

    # Parts of rows

    def _slice(self, node: fx.Node) -> Value:
        value = self._argument(node.args[0])
        dim, start, end, step = _with_defaults(node.args[1:])
        size = self._shape(cast(fx.Node, node.args[0]))[dim]
        if step != 1 or value.kind not in (Kind.ROW, Kind.VECTOR):
            raise Unsupported(str(node.target))
        start, end = (min(each if each >= 0 else each + size, size) for each in (start, end))
        if (start, end) == (0, size):
            return value
        if value.kind == Kind.ROW and dim % 2 == 0:
            raise Unsupported("a slice of the batch")
        return self._sub_row(value, start, end - start)

    def _sub_row(self, value: Value, start: int, width: int) -> Value:
        if value.op == "slice":
            return self._sub_row(value.args[0], value.detail[0] + start, width)
        if value.width == 1:
            return value
        return self.values.value(
            "slice", (value,), (start,), kind=value.kind, stage=value.stage, shape=(1, width), boolean=value.boolean
        )

    def _split_with_sizes(self, node: fx.Node) -> list[Value]:
        value, sizes = self._argument(node.args[0]), cast(list[int], node.args[1])
        if value.kind not in (Kind.ROW, Kind.VECTOR) or (value.kind == Kind.ROW and len(node.args) < 3):
            raise Unsupported(str(node.target))
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        return [self._sub_row(value, start, size) for start, size in zip(starts, sizes, strict=True)]

    def _cat(self, node: fx.Node) -> Value:
        parts = list(map(self._argument, cast(Any, node.args[0])))
        if any(part.kind != Kind.ROW for part in parts) or len(node.args) < 2 or cast(int, node.args[1]) % 2 == 0:
            raise Unsupported("cat along the batch")
        return self._concatenate(parts)

    def _concatenate(self, parts: list[Value]) -> Value:
        """Put rows side by side."""
        stage = max(part.stage for part in parts)
        return self.values.value(
            "cat", parts, kind=Kind.ROW, stage=stage, shape=(1, sum(part.width for part in parts)),
            boolean=parts[0].boolean,
        )  # fmt: skip

    def _slice_scatter(self, node: fx.Node) -> Value:
        base, source = self._argument(node.args[0]), self._argument(node.args[1])
        dim, start, _, step = _with_defaults(node.args[2:])
        if dim % 2 == 0 or step != 1 or base.kind != Kind.ROW:
            raise Unsupported(str(node.target))
        end = start + source.width
        parts = [self._sub_row(base, 0, start)] if start > 0 else []
        parts += [source] + ([self._sub_row(base, end, base.width - end)] if end < base.width else [])
        return self._concatenate([self._as_row(part, width) for part, width in zip(
            parts, [start] * (start > 0) + [source.width] + [base.width - end] * (end < base.width), strict=True)])  # fmt: skip

    def _as_row(self, value: Value, width: int) -> Value:
        """A row of the width that it has, also where one number stands for all of it."""
        if value.width == width and value.kind == Kind.ROW:
            return value
        return self.values.value("expand", (value,), kind=Kind.ROW, stage=max(value.stage, Stage.ALL), shape=(1, width))

    # Functions of several operations

    def _clamp(self, node: fx.Node) -> Value:
        value = self._argument(node.args[0])
        low, high = (*node.args[1:], None, None)[:2]
        low, high = node.kwargs.get("min", low), node.kwargs.get("max", high)
        for op, bound in (("maximum", low), ("minimum", high)):
            if bound is not None:
                value = self.values.elementwise(op, value, self._argument(bound))
        return value

    _clamp_min = _clamp

    def _pow(self, node: fx.Node) -> Value:
        value, exponent = self._argument(node.args[0]), node.args[1]
        if exponent == 2:
            return self.values.elementwise("mul", value, value)
        if exponent == 0.5:
            return self.values.elementwise("sqrt", value)
        return self.values.elementwise("pow", value, self._argument(exponent))


def _with_defaults(given: tuple[Any, ...]) -> tuple[int, int, int, int]:
    """What a slice is told: dimension, start, end and step."""
    dim, start, end, step = [*given, None, None, None][:4]
    return dim or 0, start or 0, 2**62 if end is None else end, step or 1
