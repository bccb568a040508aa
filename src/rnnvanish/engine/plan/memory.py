"""The memory plan: what is expensive, and needed by the backward pass, is saved over what it was computed from.

A gate is σ of some lanes of a matrix product, and nobody needs these lanes once the gate is known. Written over them, it
costs no memory, and the backward pass need not compute it again.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace

from rnnvanish.engine.ir.operations import OPERATIONS
from rnnvanish.engine.ir.values import Stage, Value, walk
from rnnvanish.engine.plan.phases import LoopPlan, Place

#: A stretch of lanes of a buffer's row.
Stretch = tuple[str, int, int]


def save_in_place(forward: LoopPlan, backward: list[Value], at: Mapping[Value, Place]) -> dict[Value, Place]:
    """Have the forward loop save what is expensive, where there is room for it.

    Args:
        forward: Its plan; gets further stores.
        backward: What is computed later from what this loop leaves.
        at: Where values lie after it.

    Returns:
        Where the values lie that are saved besides.
    """
    phases = [([value for value, _ in [*phase.stores, *phase.sums]], phase.at) for phase in forward.phases]
    contexts: list[tuple[list[Value], Mapping[Value, Place]]] = [*phases, (backward, at)]
    first: dict[Value, int] = {}
    for index, (roots, known) in enumerate(phases):
        for value in walk(roots, known):
            first.setdefault(value, index)
    needed = set(walk(backward, at))
    used = {product.left.buffer for phase in forward.phases for product in phase.products}
    used |= {place.buffer for phase in forward.phases for _, place in [*phase.stores, *phase.sums]}
    saved: dict[Value, Place] = {}
    for value, index in first.items():
        expensive = value.op in OPERATIONS and OPERATIONS[value.op].expensive
        if not expensive or value.stage == Stage.ONCE or value.width == 1 or value not in needed:
            continue
        later = {product.out.buffer for phase in forward.phases[index:] for product in phase.products}
        others = [stretch for roots, known in contexts for stretch in _read(roots, known, {*saved, value})]
        others += [_stretch(place, each.width) for each, place in saved.items()]
        for place in _room(value, 0, value.width, forward.phases[index].at):
            own = place.buffer.startswith(("early", "kept")) and place.buffer not in used | later
            if own and not any(_overlap(_stretch(place, value.width), other) for other in others):
                saved[value] = place
                forward.phases[index].stores.append((value, place))
                for phase in forward.phases[index + 1 :]:
                    phase.at[value] = place
                break
    forward.in_place = [_stretch(place, value.width) for value, place in saved.items()]
    return saved


def _room(value: Value, lane: int, width: int, at: Mapping[Value, Place]) -> Iterator[Place]:
    """Lanes in memory that some lanes of a value are computed from, one by one."""
    if value.op != "slice" and value.op not in OPERATIONS:
        return
    lane += value.detail[0] if value.op == "slice" else 0
    for arg in value.args:
        if arg in at and arg.width >= lane + width:
            yield replace(at[arg], lane=at[arg].lane + lane)
        elif arg not in at:
            yield from _room(arg, lane, width, at)


def _read(roots: Iterable[Value], at: Mapping[Value, Place], known: Container[Value]) -> Iterator[Stretch]:
    """What is read of the memory that values lie in, to compute others of which some are known."""
    seen: set[tuple[Value, int, int]] = set()

    def visit(value: Value, lane: int, width: int) -> Iterator[Stretch]:
        if (value, lane, width) in seen or value in known:
            return
        seen.add((value, lane, width))
        if value in at:
            yield _stretch(replace(at[value], lane=at[value].lane + lane), width)
            return
        for arg in value.args:
            if value.op == "slice":
                yield from visit(arg, lane + value.detail[0], width)
            elif value.op in OPERATIONS and arg.width == value.width:
                yield from visit(arg, lane, width)
            else:
                yield from visit(arg, 0, arg.width)

    for root in roots:
        yield from visit(root, 0, root.width)


def _stretch(place: Place, width: int) -> Stretch:
    return place.buffer, place.lane, place.lane + width


def _overlap(one: Stretch, other: Stretch) -> bool:
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]
