"""Products with one factor in common are one product, of what it is multiplied by, side by side in memory.

A cell that has several layers of its input reads and writes it once, instead of once for each of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from rnnvanish.engine.ir.values import Kind, Stage, Value, Values, products_of, walk
from rnnvanish.engine.plan.phases import Place


def join_early(
    values: Values, early: Iterable[Value], live: Iterable[Value]
) -> tuple[tuple[tuple[Value, str], ...], dict[Value, Place]]:
    """Join products of rows that are computed for all time steps at once.

    Args:
        values: All values of the step.
        early: What is computed.
        live: What is used.

    Returns:
        What to compute, with the buffer of each, and where the values of `early` lie then.
    """
    written_over = {value.args[0] for value in live if value.op == "linear" and value.detail[0]}
    groups: dict[tuple[Value, bool], list[Value]] = {}  # by a factor, or else by a value, which may be another's factor
    for value in early:
        joins = value.op == "linear" and value.detail == (False, 1) and len(value.args) == 2
        joins = joins and value not in written_over
        groups.setdefault((value.args[0] if joins else value, joins), []).append(value)
    computed, places = [], dict[Value, Place]()
    for index, ((left, _), group) in enumerate(groups.items()):
        whole = group[0]
        if len(group) > 1:
            turned = _on_top(values, [_transpose(values, value.args[1]) for value in group])
            whole = values.linear(None, [(left, _transpose(values, turned))])
        computed.append((whole, f"early{index}"))
        places |= _places(group, f"early{index}")
    return tuple(computed), places


def join_gradients(
    values: Values, after: Sequence[Value], tape: Sequence[Value], at: Mapping[Value, Place]
) -> tuple[list[Value], dict[Value, Place]]:
    """Join products of the rows that the backward loop leaves for them.

    Args:
        values: All values of the step.
        after: What is computed after the loop.
        tape: These rows.
        at: Where other values lie then.

    Returns:
        `after`, by fewer products, and where the rows lie for that.
    """
    factors: dict[Value, Value] = {}
    for value in walk(after, {*tape, *at}):
        if value.op == "outer" and value.detail == (1,) and value.args[0] in tape and value.args[1] in at:
            factors.setdefault(*value.args)
    groups: dict[tuple[Value, bool], list[Value]] = {}
    for row in tape:
        joins = row in factors and row.width > 1 and (row.op != "linear" or row.detail[1] == 1)
        groups.setdefault((factors[row] if joins else row, joins), []).append(row)
    places: dict[Value, Place] = {}
    joint: dict[Value, tuple[Value, list[Value]]] = {}  # what a group is multiplied by -> all of it, and its rows
    for index, ((factor, _), group) in enumerate(groups.items()):
        places |= _places(group, f"tape{index}")
        if len(group) > 1:
            width = sum(row.width for row in group)
            whole = values.value("cat", group, kind=Kind.ROW, stage=Stage.STEP, shape=(1, width))
            places[whole] = Place(f"tape{index}")
            joint[factor] = whole, group
    again: dict[Value, Value] = {}
    for value in walk(after, {*at, *places}):
        args = [again.get(arg, arg) for arg in value.args]
        if value.op == "outer" and value.args[1] in joint and value.args[0] in joint[value.args[1]][1]:
            whole, _ = joint[value.args[1]]
            outer = _like(values, value, "outer", (whole, value.args[1]), (1,), whole.width)
            again[value] = _like(values, value, "block", (outer,), (places[value.args[0]].lane,), value.shape[0])
        elif value.op == "linear" and value.detail[1] == 1:
            again[value] = _joint_linear(values, value, joint.values())
        elif args != list(value.args):
            again[value] = _like(values, value, value.op, args, value.detail, value.shape[0])
    return [again.get(value, value) for value in after], places


def _joint_linear(values: Values, value: Value, joint: Iterable[tuple[Value, list[Value]]]) -> Value:
    """A sum of products, of which those of the rows of one group are one."""
    rest, products = products_of(value)
    for whole, group in joint:
        matrices = dict(products)
        if len(matrices) == len(products) and all(row in matrices for row in group):
            products = [product for product in products if product[0] not in group]
            products.append((whole, _on_top(values, [matrices[row] for row in group])))
    return values.linear(rest, products)


def _places(group: Sequence[Value], buffer: str) -> dict[Value, Place]:
    """Places for rows side by side."""
    ends = accumulate(value.width for value in group)
    return {value: Place(buffer, lane=end - value.width) for value, end in zip(group, ends, strict=True)}


def _on_top(values: Values, matrices: Sequence[Value]) -> Value:
    """Matrices on top of each other."""
    return _like(values, matrices[0], "stack", matrices, (), sum(matrix.shape[0] for matrix in matrices))


def _transpose(values: Values, matrix: Value) -> Value:
    if matrix.op == "transpose":
        return matrix.args[0]
    height, width = matrix.shape
    return values.value("transpose", (matrix,), kind=matrix.kind, stage=matrix.stage, shape=(width, height))


def _like(values: Values, value: Value, op: str, args: Iterable[Value], detail: tuple[Any, ...], height: int) -> Value:
    """A value of the same kind and width."""
    return values.value(
        op, args, detail, kind=value.kind, stage=value.stage, shape=(height, value.width), boolean=value.boolean
    )
