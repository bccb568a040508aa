"""Loops that need not be run step by step: h ← a h + b, where a and b are known for all time steps before it begins.

Two such steps after each other are one of the same kind, (a, b) then (c, d) being (a c, c b + d); so they can be put
together in any grouping, many at once (Blelloch 1990, "Prefix sums and their applications"). The state of a minimal
gated unit is of this kind; on the way back so is the gradient of every recurrence in which units do not mix.
"""

from collections.abc import Callable

from rnnvanish.engine.phases import Loop, Phase, Place
from rnnvanish.engine.triton_text import LANES, ROWS, Printer, Tiles, tile
from rnnvanish.engine.values import Value, Values

#: Steps that are put together at once.
CHUNK = 32
#: A part of the state: its value before a step, a and b.
Part = tuple[Value, Value, Value]
#: a and b, None where they are zero.
Form = tuple[Value | None, Value | None]


def linear_recurrence(loop: Loop, back: bool) -> list[Part] | None:
    """Write each part of what a loop carries as a h + b; None where that cannot be.

    Args:
        loop: The loop.
        back: Whether it is the way back, which carries gradients.
    """
    if len(loop.phases) != 1 or loop.phases[0].products or loop.phases[0].sums:
        return None
    phase, values = loop.phases[0], Values()
    carried = {place.buffer: value for value, place in phase.at.items() if _is_carried(place, back, before=True)}
    new = {place.buffer: value for value, place in phase.stores if _is_carried(place, back, before=False)}
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


def _is_carried(place: Place, back: bool, before: bool) -> bool:
    """Whether the state, or its gradient on the way back, lies here before or after a step."""
    return place.buffer.startswith("carry" if back else "state") and place.shift == int(before == back)


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


class ScanPrinter(Printer):
    """Prints a linear recurrence: a kernel that puts steps together, and one for the rest, all steps at once."""

    def _kernels(self, loop: Loop) -> dict[str, list[str]]:
        (phase,), parts = loop.phases, linear_recurrence(loop, self.back)
        assert parts is not None
        self.lanes = min(LANES, tile(max(part.width for part, _, _ in parts)))
        self.widest = max(part.width for part, _, _ in parts)
        lines = [
            "row = tl.program_id(0).to(tl.int64)",
            f"j = (tl.program_id(1) * {self.lanes} + tl.arange(0, {self.lanes}))[None, :]",
        ]
        for part in parts:
            lines += self._part(phase, *part)
        kernels = {"scan": lines}
        others = [pair for pair in phase.stores if not _is_carried(pair[1], self.back, before=False)]
        if others:
            kernels["rest"] = [
                "row = tl.program_id(0).to(tl.int64)",
                f"t = (tl.program_id(1) * {ROWS} + tl.arange(0, {ROWS}))[:, None]",
                "here = t < steps",
                *Tiles(self, Phase(phase.at, others)).lines(),
            ]
        return kernels

    def grids(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """How many programs each kernel takes."""
        grids = {"scan": (batch, -(-self.widest // self.lanes)), "rest": (batch, -(-steps // ROWS))}
        return {name: grids[name] for name in self.kernels}

    def _part(self, phase: Phase, h: Value, a: Value, b: Value) -> list[str]:
        tiles = Tiles(self, phase)
        return [
            line
            for start, width in tiles.segments(h.width, a, b)
            for line in self._segment(Tiles(self, phase), h, a, b, start, width)
        ]

    def _segment(self, tiles: Tiles, h: Value, a: Value, b: Value, start: int, width: int) -> list[str]:
        """Lines for some lanes: chunk by chunk, each from where the one before it ended."""
        place = tiles.phase.at[h]
        memory = self.address(place.buffer)
        now = Place(place.buffer, shift=1 - place.shift)
        tiles.width = width
        expressions = [tiles.lane(value, start) for value in (a, b)]
        incoming = []
        if self.back and place.buffer == "carry0":  # the next step back finds the gradient of this step's output too
            before = f"(t - 1).to(tl.int64) * batch + row) * {h.width}"
            incoming = [
                "if dense:",
                f"    b += tl.load({self.address('outputs')} + ({before} + {start} + j, there & (t > 0), other=0)",
            ]
        return [
            f"at = {memory} + ({'steps.to(tl.int64)' if self.back else '0'} * batch + row) * {h.width} + {start} + j",
            f"before = tl.load(at, j < {width}, other=0)",
            f"for chunk in range(0, steps, {CHUNK}):",
            *(
                f"    {line}"
                for line in [
                    f"index = (chunk + tl.arange(0, {CHUNK}))[:, None]",
                    f"t = {'steps - 1 - index' if self.back else 'index'}",
                    "here = index < steps",
                    f"there = here & (j < {width})",
                    *tiles.head,
                    *tiles.body,
                    f"a = tl.where(there, {expressions[0]}, 1.0)",
                    f"b = tl.where(there, {expressions[1]}, 0.0)",
                    *incoming,
                    "a, b = tl.associative_scan((a, b), 0, compose)",
                    "now = a * before + b",
                    f"tl.store({memory} + {self.row(now)} + {start} + j, now, there)",
                    f"last = tl.where(index == chunk + {CHUNK - 1}, now, 0.0)",
                    "before = tl.reduce(last, 0, plus, keep_dims=True)",
                ]
            ),
        ]
