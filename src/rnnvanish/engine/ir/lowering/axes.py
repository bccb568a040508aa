"""Axes of a row: its lanes by several indices, as torch's sizes and strides have it.

A row stays flat. What torch does along its axes is a view of its lanes, "strided", or a sum over some of them, "sum".
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

from rnnvanish.engine.ir.operations import OPERATIONS
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Kind, Stage, Value, Values

Sizes = tuple[int, ...]


def contiguous(sizes: Sequence[int]) -> Sizes:
    """The strides of lanes that lie one beside the other."""
    return tuple(math.prod(sizes[axis + 1 :]) for axis in range(len(sizes)))


def lanes(offset: int, sizes: Sequence[int], strides: Sequence[int]) -> list[int]:
    """All lanes of a view, in order."""
    found = [offset]
    for size, stride in zip(sizes, strides, strict=True):
        found = [lane + index * stride for lane in found for index in range(size)]
    return found


def simplify(sizes: Sequence[int], strides: Sequence[int]) -> tuple[Sizes, Sizes]:
    """The same lanes by as few axes as can be."""
    kept: list[tuple[int, int]] = []
    for size, stride in zip(sizes, strides, strict=True):
        if size == 1:
            continue
        if kept and kept[-1][1] == size * stride:
            kept[-1] = kept[-1][0] * size, stride
        else:
            kept.append((size, stride))
    return tuple(size for size, _ in kept), tuple(stride for _, stride in kept)


def refine(sizes: Sequence[int], finer: Sequence[int]) -> list[list[int]] | None:
    """How each of some axes falls into finer ones of as many lanes; None where it does not."""
    remaining, groups = list(finer), list[list[int]]()
    for size in sizes:
        group: list[int] = []
        while math.prod(group) < size and remaining:
            group.append(remaining.pop(0))
        if math.prod(group) != size:
            return None
        groups.append(group)
    return None if math.prod(remaining) != 1 else groups


def common_axes(width: int, several: Sequence[Sequence[int]]) -> Sizes | None:
    """The coarsest axes that each of several ways to count the lanes falls into; None where there are none."""
    inner = sorted({width, 1, *(count for sizes in several for count in accumulate(reversed(sizes), int.__mul__))})
    if inner[-1] != width or any(more % less for less, more in pairwise(inner)):
        return None
    return tuple(more // less for less, more in reversed(list(pairwise(inner)))) or (1,)


def strided(values: Values, value: Value, offset: int, sizes: Sequence[int], strides: Sequence[int]) -> Value:
    """View lanes of a value: lane offset + Σ index · stride of it, for every index of `sizes`, the last one fastest."""
    width = math.prod(sizes)
    if value.width == 1 and width == 1:
        return value
    if value.stage == Stage.ONCE and value.op in OPERATIONS:  # nothing that would be computed twice
        args = [arg if arg.width == 1 else strided(values, arg, offset, sizes, strides) for arg in value.args]
        return values.elementwise(value.op, *args)
    if value.op == "expand" and value.args[0].width == 1:
        return _expand(values, value.args[0], value.kind, width)
    sizes, strides = simplify(sizes, strides)
    if strides == contiguous(sizes):
        return part_of_row(values, value, offset, width)
    if value.op == "strided" and (through := _compose(value, offset, sizes, strides)) is not None:
        return strided(values, value.args[0], *through)
    if value.op == "cat":  # one of its parts
        start, last = 0, offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        for part in value.args:
            if start <= offset and last < start + part.width and min(strides) >= 0:
                return strided(values, part, offset - start, sizes, strides)
            start += part.width
    if not any(strides):
        return _expand(values, part_of_row(values, value, offset, 1), value.kind, width)
    return values.value(
        "strided", (value,), (offset, sizes, strides), kind=value.kind, stage=value.stage, shape=(1, width),
        boolean=value.boolean,
    )  # fmt: skip


def _expand(values: Values, value: Value, kind: Kind, width: int) -> Value:
    return values.value("expand", (value,), kind=kind, stage=value.stage, shape=(1, width), boolean=value.boolean)


def _compose(view: Value, offset: int, sizes: Sizes, strides: Sizes) -> tuple[int, Sizes, Sizes] | None:
    """A view of a view as one of what lies below; None where an index would carry from one axis to the next."""
    below, inner, outer = view.detail
    starts = split(offset, inner)
    steps = [split(abs(stride), inner) for stride in strides]
    if min(strides, default=0) < 0:
        return None
    for axis, size in enumerate(inner):
        if starts[axis] + sum((n - 1) * step[axis] for n, step in zip(sizes, steps, strict=True)) >= size:
            return None
    along = lambda index: sum(each * stride for each, stride in zip(index, outer, strict=True))
    return below + along(starts), sizes, tuple(map(along, steps))


def split(lane: int, sizes: Sequence[int]) -> list[int]:
    """The index of a lane along each axis; the first may go beyond its size."""
    index: list[int] = []
    for size in reversed(sizes[1:]):
        lane, rest = divmod(lane, size)
        index.insert(0, rest)
    return [lane, *index] if sizes else []


def part_of_row(values: Values, value: Value, start: int, width: int) -> Value:
    """Lanes of a row, or of a vector, that lie one beside the other."""
    if (start, width) == (0, value.width):
        return value
    if value.op == "slice":
        return part_of_row(values, value.args[0], value.detail[0] + start, width)
    if value.op == "expand" and value.args[0].width == 1:
        return _expand(values, value.args[0], value.kind, width)
    if value.width == 1:
        return value
    return values.value(
        "slice", (value,), (start,), kind=value.kind, stage=value.stage, shape=(1, width), boolean=value.boolean
    )


def broadcast(values: Values, value: Value, sizes: Sequence[int], to: Sequence[int]) -> Value:
    """Repeat lanes along those axes where their size is 1 and shall be more; one lane alone counts for all as it is."""
    if value.width == 1 or tuple(sizes) == tuple(to):
        return value
    if any(size not in (1, more) for size, more in zip(sizes, to, strict=True)):
        raise Unsupported(f"way to have {list(sizes)} lanes count as {list(to)}")
    strides = [0 if size == 1 else stride for size, stride in zip(sizes, contiguous(sizes), strict=True)]
    return strided(values, value, 0, to, strides)


def permute(values: Values, value: Value, sizes: Sequence[int], order: Sequence[int]) -> Value:
    """Put the axes in another order."""
    strides = contiguous(sizes)
    return strided(values, value, 0, [sizes[axis] for axis in order], [strides[axis] for axis in order])


def sum_over(values: Values, value: Value, sizes: Sequence[int], axes: Sequence[int]) -> Value:
    """Sum over some axes."""
    sizes = list(sizes)
    for axis in sorted(axes, reverse=True):
        outer, size, inner = math.prod(sizes[:axis]), sizes[axis], math.prod(sizes[axis + 1 :])
        sizes[axis] = 1
        if size == 1:
            continue
        if value.op == "sum" and value.detail[2] == inner == 1 and value.detail[0] % size == 0:  # over both at once
            value, (outer, more, _) = value.args[0], (value.detail[0] // size, value.detail[1], 1)
            size *= more
        value = _sum(values, value, outer, size, inner)
    return value


def _sum(values: Values, value: Value, outer: int, size: int, inner: int) -> Value:
    if value.width == 1:
        return values.elementwise("mul", value, values.constant(size))
    return values.value(
        "sum", (value,), (outer, size, inner), kind=value.kind, stage=value.stage, shape=(1, outer * inner)
    )


def concatenate(values: Values, parts: Sequence[Value], sizes: Sequence[Sequence[int]], axis: int) -> Value:
    """Put rows beside each other along an axis."""
    outer, inner = math.prod(sizes[0][:axis]), math.prod(sizes[0][axis + 1 :])
    if outer > 1:  # that axis first, and back
        parts = [
            permute(values, part, (outer, size[axis], inner), (1, 0, 2))
            for part, size in zip(parts, sizes, strict=True)
        ]
    if any(part.kind not in (Kind.ROW, Kind.VECTOR) for part in parts):
        raise Unsupported("cat of matrices")
    kind = Kind.ROW if any(part.kind == Kind.ROW for part in parts) else Kind.VECTOR
    whole = values.value(
        "cat", parts, kind=kind, stage=max(part.stage for part in parts),
        shape=(1, sum(part.width for part in parts)), boolean=parts[0].boolean,
    )  # fmt: skip
    return whole if outer == 1 else permute(values, whole, (sum(s[axis] for s in sizes), outer, inner), (1, 0, 2))
