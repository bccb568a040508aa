"""Printing a loop as a Python function for Numba.

Names and the structure of the step are in the text; sizes are not, so that one text serves every width.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from rnnvanish.engine.ir.operations import OPERATIONS, Operation
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Value
from rnnvanish.engine.plan.phases import LoopPlan, Phase, Place, Product

HEADER = """import math
import numpy as np
from numba import njit
from rnnvanish.engine.cpu.mathematics import exp_{t} as exp, sigmoid_{t} as sigmoid, tanh_{t} as tanh
from rnnvanish.engine.cpu.memory import gemm_{t} as gemm, load_bool, load_{t} as load, store_{t} as store
real = np.{t}
itemsize = {size}
zero, one = real(0), real(1)


@njit(
    "void(CPointer(int64), CPointer(int64), int64, int64, int64, int64, int64, int64)", no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath={{"contract", "nsz"}}, error_model="numpy", boundscheck=False
)
def loop(addresses, sizes, steps, batch, first, last, mask, dense):
"""


class CodeGenerator:
    """Prints one loop, and knows which addresses and sizes the printed function is to be given.

    Args:
        loop: What to print.
        widths: Width of every buffer.
        back: Whether it runs from the last step to the first.
    """

    def __init__(self, loop: LoopPlan, widths: dict[str, int], back: bool) -> None:
        self.widths, self.back = widths, back
        self.addresses: dict[str, str] = {}  # what the function is given -> its variable
        self.sizes: list[int] = []
        self.products: list[Product] = []
        self.scopes: dict[tuple[str, int, int], int] = {}
        self.in_place = loop.in_place
        body = [line for phase in loop.phases for line in self._phase(phase)]
        if back:
            body = self._incoming() + body
        head = [f"{name} = addresses[{index}]" for index, name in enumerate(self.addresses.values())]
        head += [f"n{index} = sizes[{index}]" for index in range(len(self.sizes))]
        head += ["for index in range(steps):"]
        head += ["    t = steps - 1 - index" if back else "    t = index"]
        self.body = "\n".join(f"    {line}" for line in head + [f"    {line}" for line in body]) + "\n"

    def text(self, dtype: str) -> str:
        """The whole module, for "float32" or "float64"."""
        return HEADER.format(t=dtype, size=int(dtype[-2:]) // 8) + self.body

    def _address(self, name: str) -> str:
        return self.addresses.setdefault(name, f"a{len(self.addresses)}")

    def _size(self, number: int) -> str:
        self.sizes.append(number)
        return f"n{len(self.sizes) - 1}"

    def _scope(self, place: Place, lane: int = 0) -> int:
        """Number of the memory that a lane of a row lies in: a stretch that is written over is apart from the rest."""
        cuts = {cut for buffer, *ends in self.in_place if buffer == place.buffer for cut in ends}
        part = sum(cut <= place.lane + lane for cut in cuts)
        return self.scopes.setdefault((place.buffer, place.shift, part), len(self.scopes))

    def _incoming(self) -> list[str]:
        """Add the gradient that the outputs of this step received to that of the state."""
        width, carry, output = self._size(self.widths["state0"]), self._address("carry0"), self._address("outputs")
        into, scope = Place("carry0", shift=1), self._scope(Place("outputs"))
        return [
            "if dense:",
            "    for b in range(first, last):",
            f"        i, k = {into.row(width, 'b')}, (t * batch + b) * {width}",
            f"        for j in range({width}):",
            f"            before = load({carry}, i + j, {self._scope(into)})",
            f"            store({carry}, i + j, {self._scope(into)}, before + load({output}, k + j, {scope}))",
        ]

    def _phase(self, phase: Phase) -> list[str]:
        lines = [f"    {line}" for line in Lanes(self, phase).lines()]
        head = ["for b in range(first, last):"] if lines else []
        return head + lines + [self._product(product) for product in phase.products]

    def _product(self, product: Product) -> str:
        """A call of the Fortran routine; seen from there all matrices are turned, so the factors change places."""
        name = f"product{len(self.products)}"
        self.products.append(product)
        turn, sizes, beta, matrix = (self._address(f"{name}.{each}") for each in ("turn", "sizes", "beta", "matrix"))
        left, out = (
            f"{self._address(place.buffer)} + itemsize * ({place.row(self._size(self.widths[place.buffer]), 'first')}"
            f" + {self._size(place.lane)})"
            for place in (product.left, product.out)
        )
        return (
            f"gemm({turn}, {self._address('plain')}, {sizes}, {sizes} + 4, {sizes} + 8, {self._address('one')}, "
            f"{matrix}, {sizes} + 12, {left}, {sizes} + 16, {beta}, {out}, {sizes} + 20)"
        )


class Lanes:
    """Prints the arithmetic of one phase: for each row its single numbers, then its lanes."""

    def __init__(self, generator: Any, phase: Phase) -> None:
        self.generator, self.phase = generator, phase
        self.rows: dict[Place, str] = {}
        self.totals: dict[Place, str] = {}
        # One name for one lane: that what is read and written there is the same place must be plain to see.
        self.offsets: dict[tuple[str, int], str] = {}
        self.head: list[str] = []
        self.body: list[str] = []
        self.singles: dict[tuple[Value, int], str] = {}
        self.lanes: dict[tuple[Value, int], str] = {}
        self.cuts: dict[Value, set[int]] = {}
        self.count = 0

    def lines(self) -> list[str]:
        """The arithmetic for one row; nothing where the phase has none."""
        loops: dict[int, list[tuple[Value, Place, int, int, bool]]] = {}
        for value, place, is_sum in [(*pair, False) for pair in self.phase.stores] + [
            (*pair, True) for pair in self.phase.sums
        ]:
            total = value.width if is_sum or value.width > 1 else self.generator.widths[place.buffer]
            for start, width in self._segments(value, total):
                loops.setdefault(width, []).append((value, place, start, width, is_sum))
        out: list[str] = []
        for width, work in sorted(loops.items()):
            out += self._loop(width, work)
        before = [f"{name} = {self._zero()}" for name in self.totals.values()]
        after = [self._write(place, name) for place, name in self.totals.items()]
        return self.head + before + out + after

    def _loop(self, width: int, work: list[tuple[Value, Place, int, int, bool]]) -> list[str]:
        self.body, self.lanes = [], {}
        for value, place, start, _, is_sum in work:
            result = self._lane(value, start)
            if is_sum:
                self.body.append(f"{self._total(place)} += {result}")
            else:
                self.body.append(self._store(place, start, result, False))
        return [f"for j in range({self.generator._size(width)}):", *(f"    {line}" for line in self.body)]

    def _total(self, place: Place) -> str:
        """Variable of a sum: one for all stretches of lanes."""
        if place not in self.totals:
            self.totals[place] = self._name()
        return self.totals[place]

    def _zero(self) -> str:
        return "zero"

    def _write(self, place: Place, name: str) -> str:
        return self._store(place, 0, name, True)

    def _name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def _base(self, place: Place) -> str:
        """Variable that holds the index of this buffer's row."""
        key = Place(place.buffer, place.shift)
        if key not in self.rows:
            self.rows[key] = f"r{len(self.rows)}"
            width = self.generator._size(self.generator.widths[place.buffer])
            self.head.append(f"{self.rows[key]} = {key.row(width, 'b')}")
        return self.rows[key]

    def _store(self, place: Place, start: int, result: str, single: bool) -> str:
        return f"store({self._memory(place, start, single)}, {self.generator._scope(place, start)}, {result})"

    def _segments(self, value: Value, width: int) -> list[tuple[int, int]]:
        """Stretches of lanes within which a value is computed in one way."""
        cuts = sorted({0, width, *(cut for cut in self._cuts(value) if 0 < cut < width)})
        return [(start, end - start) for start, end in pairwise(cuts)]

    def _cuts(self, value: Value) -> set[int]:
        if value not in self.cuts:
            self.cuts[value] = self._find_cuts(value)
        return self.cuts[value]

    def _find_cuts(self, value: Value) -> set[int]:
        if value in self.phase.at or value.width == 1:
            return set()
        if value.op == "slice":
            return {cut - value.detail[0] for cut in self._cuts(value.args[0])}
        if value.op == "cat":
            cuts, start = set(), 0
            for part in value.args:
                cuts |= {start} | {start + cut for cut in self._cuts(part)}
                start += part.width
            return cuts
        return {cut for arg in value.args for cut in self._cuts(arg)}

    def _lane(self, value: Value, lane: int, single: bool = False) -> str:
        """Expression for lane `lane` + j of a value; for lane `lane` alone where that is `single`."""
        if value.op == "constant":
            return _number(value.detail[0])
        if value.width == 1:
            lane, single = 0, True
        known = self.singles if single else self.lanes
        if (value, lane) not in known:
            text = self._expression(value, lane, single)
            if not text.isidentifier():
                name = self._name()
                (self.head if single else self.body).append(f"{name} = {text}")
                text = name
            known[value, lane] = text
        return known[value, lane]

    def _expression(self, value: Value, lane: int, single: bool) -> str:
        if value in self.phase.at:
            place = self.phase.at[value]
            kind = "load_bool" if value.boolean else "load"
            return f"{kind}({self._memory(place, lane, single)}, {self.generator._scope(place, lane)})"
        if value.op == "invariant":
            name = f"invariant{value.detail[0]}"
            index = self.generator._size(lane) if single else f"{self.generator._size(lane)} + j"
            return f"load({self.generator._address(name)}, {index}, {self.generator._scope(Place(name))})"
        if value.op in ("slice", "expand"):
            return self._lane(value.args[0], lane + (value.detail[0] if value.detail else 0), single)
        if value.op == "cat":
            for part in value.args:
                if lane < part.width:
                    return self._lane(part, lane, single)
                lane -= part.width
        if value.op not in OPERATIONS:
            raise Unsupported(f"{value.op} in the loop")
        text = self._text(OPERATIONS[value.op])
        return text.format(*(self._lane(arg, lane, single) for arg in value.args))

    def _text(self, operation: Operation) -> str:
        if operation.numba is None:
            raise Unsupported(f"{operation.name} on the CPU")
        return operation.numba

    def _memory(self, place: Place, lane: int, single: bool) -> str:
        """Address and index of a lane."""
        lane += place.lane
        if lane and (place.buffer, lane) not in self.offsets:
            self.offsets[place.buffer, lane] = self.generator._size(lane)
        offset = (f" + {self.offsets[place.buffer, lane]}" if lane else "") + ("" if single else " + j")
        return f"{self.generator._address(place.buffer)}, {self._base(place)}{offset}"


def _number(number: float) -> str:
    if np.isnan(number):
        return "real(np.nan)"
    return f"real({number!r})" if np.isfinite(number) else f"real({'-' * (number < 0)}np.inf)"
