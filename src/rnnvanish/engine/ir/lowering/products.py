"""Lowering sums and products."""

import math
from typing import Any, cast

from torch import fx

from rnnvanish.engine.ir.lowering import axes
from rnnvanish.engine.ir.lowering.rows import FIRST, Rows
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Kind, Value


class Products(Rows):
    """Turns nodes that add and multiply into values."""

    def _add(self, node: fx.Node) -> Value:
        reduced = [
            arg for arg in node.args if isinstance(arg, fx.Node) and cast(Value, self.of[arg]).kind == Kind.REDUCED
        ]
        alpha = node.kwargs.get("alpha", 1)
        if reduced:
            left, right = map(self._argument, node.args)
            if alpha != 1 or left.shape != right.shape:
                raise Unsupported("a weighted sum of gradients")
            return self.values.value(
                "add", (left, right), kind=Kind.REDUCED, stage=max(left.stage, right.stage), shape=left.shape
            )
        left, right = self._broadcast(node, node.args)
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
        left, right = self._broadcast(node, node.args)
        alpha = node.kwargs.get("alpha", 1)
        if alpha != 1:
            right = self.values.elementwise("mul", right, self.values.constant(cast(float, alpha)))
        return self.values.elementwise("sub", left, right)

    def _mm(self, node: fx.Node) -> Value:
        return self._product(node, None, *cast(Any, node.args))

    def _addmm(self, node: fx.Node) -> Value:
        if node.kwargs:
            raise Unsupported("a weighted addmm")
        return self._product(node, *cast(Any, node.args))

    def _product(self, node: fx.Node, rest: Any, left: fx.Node, right: fx.Node) -> Value:
        """A product of matrices: of rows and one that is computed once, or of two rows, summed over the batch."""
        a, b = self.of[left], self.of[right]
        at, heads = self._batch(left)
        if a.kind == b.kind == Kind.ROW:
            if at != 1 or self._batch(right) != (0, heads) or rest is not None:
                raise Unsupported("a product of matrices that change with the state")
            return self._batch_product(a, b, heads)
        if a.kind != Kind.ROW or at != 0 or b.kind == Kind.ROW:
            raise Unsupported("a product of matrices that change with the state")
        added = None if rest is None else self._spread(rest, [heads, self._shape(node)[1]])
        if b.kind == Kind.VECTOR:  # a matrix of one row, or of one column
            height, width = self._shape(right)
            many = self._spread(left, [heads, height]) if width == 1 else a
            line = axes.broadcast(self.values, b, (1, max(height, width)), (heads, max(height, width)))
            if width == 1:
                product = axes.sum_over(self.values, self.values.elementwise("mul", many, line), (heads, height), (1,))
            else:
                many = axes.broadcast(self.values, a, (heads, 1), (heads, width))
                product = self.values.elementwise("mul", many, line)
            return self._moved(
                node, product if added is None else self.values.elementwise("add", added, product), (0, heads)
            )
        return self._moved(node, self.values.linear(added, [(a, b)], heads), (0, heads))

    def _batch_product(self, left: Value, right: Value, heads: int) -> Value:
        """The sum over the batch, and over the heads that count as batch, of all products of two rows' lanes."""
        height, width = left.width // heads, right.width // heads
        if heads > 1:  # of the left they lie innermost
            left = axes.permute(self.values, left, (height, heads), (1, 0))
        stage = max(left.stage, right.stage)
        return self.values.value(
            "outer", (left, right), (heads,), kind=Kind.REDUCED, stage=stage, shape=(height, width)
        )

    def _bmm(self, node: fx.Node) -> Value:
        left, right = cast(fx.Node, node.args[0]), cast(fx.Node, node.args[1])
        kinds = self.of[left].kind, self.of[right].kind
        (at, _), (other, _) = self._batch(left), self._batch(right)
        if at == other == 0:
            return self._row_product(node, left, right)
        heads, (height, depth), width = self._shape(node)[0], self._shape(left)[1:], self._shape(right)[2]
        if kinds == (Kind.ROW, Kind.ROW) and (at, other) == (2, 1):
            parts = [
                self._batch_product(
                    axes.part_of_row(self.values, self.of[left], head * height, height),
                    axes.part_of_row(self.values, self.of[right], head * width, width),
                    1,
                )
                for head in range(heads)
            ]
            return self.values.value(
                "stack",
                parts,
                kind=Kind.REDUCED,
                stage=max(part.stage for part in parts),
                shape=(heads * height, width),
            )
        if kinds[0] == Kind.ROW and at == 1 and kinds[1] != Kind.ROW:  # each head by a matrix of its own
            blocks = self._blocks(right)
            parts = [
                self.values.linear(None, [(axes.part_of_row(self.values, self.of[left], head * depth, depth), block)])
                for head, block in enumerate(blocks)
            ]
            return self._moved(node, axes.concatenate(self.values, parts, [[width]] * heads, 0), (1, 1))
        raise Unsupported("a product of matrices that change with the state")

    def _blocks(self, node: fx.Node) -> list[Value]:
        """The matrices of a tensor of three axes that is computed once."""
        heads, height, width = self._shape(node)
        value = self.of[node]
        turned = value.kind == Kind.VECTOR and value.op == "strided"
        if turned:
            (leaf,) = value.args
            if value.detail != (0, (heads, height, width), (height * width, 1, height)) or leaf.op != "flat":
                raise Unsupported("a product with matrices in another order")
            value, (height, width) = leaf.args[0], (width, height)
        if value.kind != Kind.MATRIX:
            raise Unsupported("a product with matrices in another order")
        blocks = [
            self.values.value(
                "block", (value,), (head * height,), kind=Kind.MATRIX, stage=value.stage, shape=(height, width)
            )
            for head in range(heads)
        ]
        if not turned:
            return blocks
        return [
            self.values.value("transpose", (block,), kind=Kind.MATRIX, stage=block.stage, shape=(width, height))
            for block in blocks
        ]

    def _row_product(self, node: fx.Node, left: fx.Node, right: fx.Node) -> Value:
        """A product of matrices of one sequence, lane by lane: the one that lies turned is read as it lies."""
        (a, (many, height, depth)), (b, (_, _, width)) = self._lanes(left), self._lanes(right)
        if Kind.ROW not in (a.kind, b.kind):
            raise Unsupported("a product of matrices that are computed once")
        if a.kind != b.kind:
            raise Unsupported("a product of a batch of matrices with others")
        values = self.values
        turned_a = axes.permute(values, a, (many, height, depth), (0, 2, 1))
        turned_b = axes.permute(values, b, (many, depth, width), (0, 2, 1))
        if width == 1 and turned_a.op != "strided" and height > 1:
            sizes, axis = (many, depth, height), 1
            factors = turned_a, axes.broadcast(values, b, (many, depth, 1), sizes)
        elif height == 1 and turned_b.op != "strided" and width > 1:
            sizes, axis = (many, width, depth), 2
            factors = axes.broadcast(values, a, (many, 1, depth), sizes), turned_b
        elif width == 1:
            sizes, axis = (many, height, depth), 2
            factors = a, axes.broadcast(values, b, (many, 1, depth), sizes)
        else:
            sizes, axis = (many, height, depth, width), 2  # type: ignore[assignment]
            factors = (
                axes.broadcast(values, a, (many, height, depth, 1), sizes),
                axes.broadcast(values, b, (many, 1, depth, width), sizes),
            )
        product = axes.sum_over(values, values.elementwise("mul", *factors), sizes, (axis,))
        return self._moved(node, product, self._batch(left))

    def _mv(self, node: fx.Node) -> Value:
        left, right = cast(fx.Node, node.args[0]), cast(fx.Node, node.args[1])
        a, b = self.of[left], self.of[right]
        at, heads = self._batch(left)
        if a.kind == b.kind == Kind.ROW and at == 1 and heads == 1:  # summed over the batch
            product = self.values.elementwise("mul", a, b)
            return self.values.value("colsum", (product,), kind=Kind.REDUCED, stage=product.stage, shape=(1, a.width))
        if a.kind != Kind.ROW or b.kind == Kind.ROW or (at, heads) != FIRST:
            raise Unsupported("a product of matrices that change with the state")
        return axes.sum_over(self.values, self.values.elementwise("mul", a, b), (1, a.width), (1,))

    def _sum(self, node: fx.Node) -> Value:
        source = cast(fx.Node, node.args[0])
        value, shape = cast(Value, self.of[source]), self._shape(source)
        dims = cast(Any, node.args[1]) if len(node.args) > 1 and node.args[1] else range(len(shape))
        over = {dim % len(shape) for dim in dims}
        if value.kind == Kind.REDUCED:
            if len(shape) != 2:
                raise Unsupported("the sum of a gradient")
            kept = (1 if 0 in over else value.shape[0], 1 if 1 in over else value.shape[1])
            return self.values.value("reshape", (value,), kind=Kind.REDUCED, stage=value.stage, shape=kept)
        value, sizes = self._lanes(source)
        value = self._number(value)
        axis, lanes = self._batch(source)
        if value.kind != Kind.ROW:
            return axes.sum_over(self.values, value, sizes, list(over))
        whole = axes.sum_over(self.values, value, sizes, [dim for dim in over if dim != axis or lanes > 1])
        if axis not in over:
            after = axis if _keeps(node) else axis - sum(dim < axis for dim in over)
            return self._moved(node, whole, (after, lanes))
        return self.values.value("colsum", (whole,), kind=Kind.REDUCED, stage=whole.stage, shape=(1, whole.width))

    def _mean(self, node: fx.Node) -> Value:
        source = cast(fx.Node, node.args[0])
        count = math.prod(self._shape(source)) // math.prod(self._shape(node))
        if self.of[source].kind != Kind.ROW or (len(node.args) < 2 or not node.args[1]):
            raise Unsupported("a mean that is not over the units of a step")
        if self._batch(source)[0] in {dim % len(self._shape(source)) for dim in cast(Any, node.args[1])}:
            raise Unsupported("a mean over the batch")
        return self.values.elementwise("mul", self._sum(node), self.values.constant(1 / count))


def _keeps(node: fx.Node) -> bool:
    """Whether a sum keeps the axes that it sums over."""
    return bool(node.args[2]) if len(node.args) > 2 else bool(node.kwargs.get("keepdim", False))
