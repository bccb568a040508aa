"""What of a step is computed once, what for all time steps at once, and what step by step."""

import math
from collections.abc import Container, Iterable

from torch import Tensor, nn

from rnnvanish.engine.ir.lowering.lower import Lowering
from rnnvanish.engine.ir.trace import Traced, trace
from rnnvanish.engine.ir.values import Kind, Stage, Value, Values, walk
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
    frontier = _early(walk(new, at), at)
    # What the backward loop needs of the input by a product or a sum is kept from the forward pass.
    frontier += [
        value
        for value in walk(old, {**at, **dict.fromkeys(frontier), **carried})
        if value.stage == Stage.ALL and value.op in ("linear", "sum")
    ]
    early = tuple((value, f"early{index}") for index, value in enumerate(frontier))
    at |= {value: Place(name) for value, name in early}
    forward = schedule([(value, Place(f"state{index}", shift=1)) for index, value in enumerate(new)], at, "kept", live)

    after = [input_gradient, *invariant_gradients]
    at |= forward.kept | carried
    at |= save_in_place(forward, [*old, *after], at)
    inside = set(walk(old, at))
    # Rows put side by side for afterwards: they are written there at once.
    inside |= {value for value in walk(after, at) if value.op == "cat" and all(arg in inside for arg in value.args)}
    saved = {at[value].buffer for value in _reach([*old, *after], at, set()) if value in at}
    tape = [value for value in _reach(after, at, inside) if value in inside and _is_row(value)]
    stores = [(value, Place(f"tape{index}")) for index, value in enumerate(tape)]
    stores += [(value, Place(f"carry{index}")) for index, value in enumerate(old)]
    backward = schedule(stores, at, "scratch", live)
    at |= {value: place for value, place in stores[: len(tape)] if value not in at}
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
        input_gradient,
        tuple(invariant_gradients),
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


def _early(needed: Iterable[Value], known: Container[Value]) -> list[Value]:
    """What a loop reads of all that is computed for all time steps at once."""
    found: dict[Value, None] = {}

    def visit(value: Value) -> None:
        # A vector is added where the rest is read.
        plus_vector = value.op == "add" and value.args[0].op == "linear" and value.args[1].kind == Kind.VECTOR
        if value.op in ("slice", "expand") or plus_vector:
            visit(value.args[0])
        elif value.stage == Stage.ALL and value not in known:
            found[value] = None

    for value in needed:
        if value.stage == Stage.STEP:
            for arg in value.args:
                visit(arg)
    return list(found)
