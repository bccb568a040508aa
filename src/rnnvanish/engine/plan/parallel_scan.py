"""Loops that need not be run step by step: h ← a h + b, where a and b are known for all time steps before it begins.

Two such steps after each other are one of the same kind, (a, b) then (c, d) being (a c, c b + d); so they can be put
together in any grouping, many at once (Blelloch 1990, "Prefix sums and their applications"). The state of a minimal
gated unit is of this kind; in the backward pass so is the gradient of every recurrence in which units do not mix.
"""

from collections.abc import Callable

from rnnvanish.engine.ir.values import Value, Values, walk
from rnnvanish.engine.plan.phases import LoopPlan, Phase, Place

#: A part of the state: its value before a step, a and b.
Part = tuple[Value, Value, Value]
#: a and b, None where they are zero.
Form = tuple[Value | None, Value | None]


def linear_recurrence(plan: LoopPlan, backward: bool) -> list[Part] | None:
    """Write each part of what a loop carries as a h + b; None where that cannot be.

    Args:
        plan: The loop.
        backward: Whether it is the backward loop, which carries gradients.
    """
    if len(plan.phases) != 1 or plan.phases[0].products or plan.phases[0].sums:
        return None
    phase, values = plan.phases[0], Values()
    inside = walk([value for value, _ in phase.stores], phase.at)
    if any(value.op == "strided" for value in inside) or any(place.sums for _, place in phase.stores):
        return None
    carried = {place.buffer: value for value, place in phase.at.items() if is_carried(place, backward, before=True)}
    new = {place.buffer: value for value, place in phase.stores if is_carried(place, backward, before=False)}
    if not new or carried.keys() != new.keys():
        return None
    zero = values.constant(0.0)
    parts = []
    for name, value in sorted(new.items()):
        form = _Affine(phase, set(carried.values()), carried[name], values).of(value)
        if form is None:
            return None
        a, b = (zero if each is None else each for each in form)
        parts.append((carried[name], a, b))
    return parts


def is_carried(place: Place, backward: bool, before: bool) -> bool:
    """Whether the state, or in the backward loop its gradient, lies here before or after a step."""
    return place.buffer.startswith("carry" if backward else "state") and place.shift == int(before == backward)


class _Affine:
    """Takes values apart into (a, b) for a h + b; None stands for zero."""

    def __init__(self, phase: Phase, carried: set[Value], h: Value, values: Values) -> None:
        self.at, self.carried, self.h, self.values = phase.at, carried, h, values
        self.depends: dict[Value, bool] = {}

    def of(self, value: Value) -> Form | None:
        if value is self.h:
            return self.values.constant(1.0), None
        if not self._depends(value):
            return None, value
        forms = [self.of(arg) if self._depends(arg) else (None, arg) for arg in value.args]
        known = [form for form in forms if form is not None]
        if value in self.carried or len(known) < len(forms):
            return None
        free = [not self._depends(arg) for arg in value.args]
        if value.op == "add":
            return self._each(lambda x, y: x if y is None else y if x is None else self._do("add", x, y), *known)
        if value.op == "neg":
            return self._each(lambda x: x and self._do("neg", x), *known)
        if value.op == "sub":
            left, right = known
            return self._each(
                lambda x, y: x if y is None else self._do("neg", y) if x is None else self._do("sub", x, y), left, right
            )
        if value.op == "mul" and any(free):
            factor, form = (value.args[0], known[1]) if free[0] else (value.args[1], known[0])
            return self._each(lambda x: x and self._do("mul", x, factor), form)
        if value.op == "div" and free[1]:
            return self._each(lambda x: x and self._do("div", x, value.args[1]), known[0])
        if value.op == "where" and free[0]:
            zero = self.values.constant(0.0)
            return self._each(lambda x, y: self._do("where", value.args[0], x or zero, y or zero), *known[1:])
        return None

    def _each(self, combine: Callable[..., Value | None], *forms: Form) -> Form:
        """The same for a and for b."""
        a, b = (combine(*parts) for parts in zip(*forms, strict=True))
        return a, b

    def _do(self, op: str, *args: Value) -> Value:
        return self.values.elementwise(op, *args)

    def _depends(self, value: Value) -> bool:
        if value not in self.depends:
            inside = value not in self.at and any(map(self._depends, value.args))
            self.depends[value] = value in self.carried or inside
        return self.depends[value]
