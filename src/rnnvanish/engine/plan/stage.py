"""What of a step is computed once, what for all time steps at once, and what step by step."""

import math
from collections.abc import Container, Iterable

from torch import Tensor, nn

from rnnvanish.engine.ir.lowering.lower import Lowering
from rnnvanish.engine.ir.operations import OPERATIONS
from rnnvanish.engine.ir.trace import Traced, trace
from rnnvanish.engine.ir.values import Kind, Stage, Value, Values, walk
from rnnvanish.engine.plan.joint_products import join_early, join_gradients
from rnnvanish.engine.plan.memory import save_in_place
from rnnvanish.engine.plan.phases import Place, schedule
from rnnvanish.engine.plan.staged_step import StagedStep


def stage(cell: nn.Module, x: Tensor, state: tuple[Tensor, ...], masked: bool, apart: bool = False) -> StagedStep:
    """Stage a step of `cell`; arguments and errors are those of `trace`."""
    traced, values = trace(cell, x, state, masked, apart), Values()
    invariants, inputs, states, gradients = leaves = _leaves(traced, values)
    lowering = Lowering(values, traced.batch)
    new = lowering.lower(traced.forward, [*invariants, *inputs, *states])
    derivative = lowering.lower(traced.backward, [leaf for each in leaves for leaf in each])
    floating = sum(traced.floating)
    invariant_gradients, (input_gradient, *old) = derivative[:floating], derivative[floating:]
    live = walk([*new, *derivative], ())

    at = {
        value: Place(("x", "ended")[index] if index < 2 else f"draw{index - 2}") for index, value in enumerate(inputs)
    }
    at |= {value: Place(f"state{index}") for index, value in enumerate(states)}
    carried = {value: Place(f"carry{index}", shift=1) for index, value in enumerate(gradients)}
    after = [input_gradient, *invariant_gradients]
    inside = _inside(new, old, after)
    early, places = join_early(values, _early([*new, *old, *inside], at), live)
    at |= places
    forward = schedule([(value, Place(f"state{index}", shift=1)) for index, value in enumerate(new)], at, "kept", live)

    at |= forward.kept | carried
    at |= save_in_place(forward, [*old, *after], at)
    # What has axes is wide: its sum over the batch and over time is taken where it is computed.
    sums = [
        value
        for value in walk(after, at)
        if value.op == "colsum" and value.args[0] in inside and _has_axes(value.args[0])
    ]
    totals = {value: Place(f"total{index}") for index, value in enumerate(sums)}
    at |= totals
    tape = [value for value in _reach(after, at, inside) if value in inside and value not in at and _is_row(value)]
    computed = [*old, *tape, *(value.args[0] for value in sums)]
    saved = {at[value].buffer for value in [*_reach(computed, at, ()), *_reach(after, at, inside)] if value in at}
    after, tapes = join_gradients(values, after, tape, at)
    stores = [(value, tapes[value]) for value in tape]
    stores += [(value.args[0], place) for value, place in totals.items()]
    stores += [(value, Place(f"carry{index}")) for index, value in enumerate(old)]
    backward = schedule(stores, at, "scratch", live)
    at |= tapes
    return StagedStep(
        traced.parts.prologue,
        traced.parts.input_stage,
        traced.parts.draws,
        traced.floating,
        traced.complex,
        traced.shapes,
        invariants,
        inputs,
        early,
        forward,
        backward,
        states,
        tuple(new),
        at,
        after[0],
        tuple(after[1:]),
        frozenset(saved),
        keeps_carries=any(value.op == "gradient" for value in _reach(after, at, set())),
    )


def _leaves(traced: Traced, values: Values) -> tuple[tuple[Value, ...], ...]:
    """The values that a step is computed from: invariants; inputs, which are x, ended and the draws; states; gradients."""
    placeholders = [node for node in traced.forward.nodes if node.op == "placeholder"]
    shapes = [tuple(node.meta["val"].shape) for node in placeholders]
    first, last = len(traced.floating), len(placeholders) - len(traced.complex)

    def rows(op: str, stage: Stage, shapes: list[tuple[int, ...]]) -> tuple[Value, ...]:
        return tuple(
            values.value(
                op, (), (index,), kind=Kind.ROW, stage=stage, shape=(1, shape[1]), boolean=op == "input" and index == 1
            )
            for index, shape in enumerate(shapes)
        )

    invariants = tuple(_invariant(values, index, shape) for index, shape in enumerate(shapes[:first]))
    states = shapes[last:]
    return (
        invariants,
        rows("input", Stage.ALL, shapes[first:last]),
        rows("state", Stage.STEP, states),
        rows("gradient", Stage.STEP, states),
    )


def _invariant(values: Values, index: int, shape: tuple[int, ...]) -> Value:
    """The leaf of something that is computed once: a matrix, or a vector."""
    height, width = math.prod(shape[:-1]), shape[-1] if shape else 1
    matrix = height > 1
    kind = Kind.MATRIX if matrix else Kind.VECTOR
    return values.value("invariant", (), (index,), kind=kind, stage=Stage.ONCE, shape=(height, width))


def _reach(roots: Iterable[Value], known: Container[Value], stop: Container[Value]) -> list[Value]:
    """What `roots` are computed from, down to what is `known` and to the rows in `stop`, both included."""
    found: dict[Value, None] = {}

    def visit(value: Value) -> None:
        if value in found:
            return
        found[value] = None
        if value not in known and not (value in stop and _is_row(value)):
            for arg in value.args:
                visit(arg)

    for root in roots:
        visit(root)
    return list(found)


def _is_row(value: Value) -> bool:
    """Whether it is worth a place in memory: a row of numbers that are not all written in the cell."""
    return value.kind == Kind.ROW and not value.boolean and value.op != "expand"


def _early(needed: list[Value], known: Container[Value]) -> list[Value]:
    """What a loop reads of all that is computed for all time steps at once: no arithmetic lane by lane, which it does."""
    found: dict[Value, None] = {}
    seen: set[Value] = set()

    def visit(value: Value) -> None:
        if value in seen or value.stage != Stage.ALL or value in known:
            return
        seen.add(value)
        if _is_lane_wise(value):
            for arg in value.args:
                visit(arg)
        else:
            found[value] = None

    for value in walk(needed, ()):
        for arg in value.args if value.stage == Stage.STEP else ():
            visit(arg)
    for value in needed:
        visit(value)
    return list(found)


def _inside(new: Iterable[Value], old: Iterable[Value], after: Iterable[Value]) -> dict[Value, None]:
    """What the backward loop computes: all that the gradients of the state need, and what else can be computed there.

    Products that only the gradients of the input and of what is computed once need are taken for all time steps at once.
    """
    loops = set(walk([*new, *old], ()))
    known: dict[Value, bool] = {}

    def is_inside(value: Value) -> bool:
        if value not in known:
            known[value] = value in loops or (
                value.kind in (Kind.ROW, Kind.VECTOR)
                and (
                    value.stage < Stage.STEP
                    or ((_is_lane_wise(value) or value.op in ("cat", "sum")) and all(map(is_inside, value.args)))
                )
            )
        return known[value]

    backward = set(walk(old, ()))
    return {
        value: None
        for value in walk(after, ())
        if value in backward
        or (value.stage == Stage.STEP and value.op not in ("slice", "expand", "gradient", "state") and is_inside(value))
    }


def _is_lane_wise(value: Value) -> bool:
    """Whether a loop can compute a value lane by lane, on whatever device."""
    if value.op in OPERATIONS:
        return None not in (OPERATIONS[value.op].numba, OPERATIONS[value.op].triton)
    return value.op in ("slice", "strided", "expand")


def _has_axes(value: Value) -> bool:
    """Whether a value is computed along several axes."""
    return value.op == "strided" or ((value.op in OPERATIONS or value.op == "cat") and any(map(_has_axes, value.args)))
