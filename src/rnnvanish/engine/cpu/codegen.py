"""Generates a loop as a Python function for Numba.

Names and the structure of the step are in the text; sizes are not, so that one text serves every width.
"""

import numpy as np

from rnnvanish.engine.ir.lowering import axes
from rnnvanish.engine.ir.operations import Operation
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.plan.phase_code import PhaseCode, Segment
from rnnvanish.engine.plan.phases import LoopPlan, Phase, Place, Product

#: More buffers than any step has.
SCOPES = 96
#: What the texts of operations may use, and the loop.
HEADER = """import math
import numpy as np
from numba import njit
from rnnvanish.engine.cpu.mathematics import exp_{t} as exp, log_{t} as log, log1p_{t} as log1p, plus
from rnnvanish.engine.cpu.mathematics import sigmoid_{t} as sigmoid, tanh_{t} as tanh
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
    """Generates one loop, and knows which addresses and sizes the generated function is to be given.

    Args:
        plan: What the loop does.
        widths: Width of every buffer.
        backward: Whether it runs from the last step to the first.
    """

    def __init__(self, plan: LoopPlan, widths: dict[str, int], backward: bool) -> None:
        self.widths = widths
        self.addresses: dict[str, str] = {}  # what the function is given -> its variable
        self.sizes: list[int] = []
        self.products: list[Product] = []
        self._scopes: dict[tuple[str, int, int], int] = {}
        self._in_place = plan.in_place
        self.variables = 0
        body = self._phases(plan.phases)
        if backward:
            body = self._output_gradient() + body
        head = [f"{name} = addresses[{index}]" for index, name in enumerate(self.addresses.values())]
        head += [f"n{index} = sizes[{index}]" for index in range(len(self.sizes))]
        head += ["for index in range(steps):"]
        head += ["    t = steps - 1 - index" if backward else "    t = index"]
        self.body = "\n".join(f"    {line}" for line in head + [f"    {line}" for line in body]) + "\n"

    def text(self, dtype: str) -> str:
        """The whole module, for "float32" or "float64"."""
        return HEADER.format(t=dtype, size=int(dtype[-2:]) // 8) + self.body

    def address(self, name: str) -> str:
        """Variable of an address."""
        return self.addresses.setdefault(name, f"a{len(self.addresses)}")

    def size(self, number: int) -> str:
        """Variable of a size."""
        self.sizes.append(number)
        return f"n{len(self.sizes) - 1}"

    def scope(self, place: Place, lane: int = 0) -> int:
        """Number of the memory that a lane of a row lies in: a stretch that is written over is apart from the rest."""
        cuts = {cut for buffer, *ends in self._in_place if buffer == place.buffer for cut in ends}
        part = sum(cut <= place.lane + lane for cut in cuts)
        scope = self._scopes.setdefault((place.buffer, place.shift, part), len(self._scopes))
        if scope == SCOPES:
            raise Unsupported(f"way to keep more than {SCOPES} rows of a step apart")
        return scope

    def _output_gradient(self) -> list[str]:
        """Add the gradient by the output of this step to that by the state."""
        width, carry, output = self.size(self.widths["state0"]), self.address("carry0"), self.address("outputs")
        into, scope = Place("carry0", shift=1), self.scope(Place("outputs"))
        return [
            "if dense:",
            "    for b in range(first, last):",
            f"        i, k = {into.row_index(width, 'b')}, (t * batch + b) * {width}",
            f"        for j in range({width}):",
            f"            before = load({carry}, i + j, {self.scope(into)})",
            f"            store({carry}, i + j, {self.scope(into)}, before + load({output}, k + j, {scope}))",
        ]

    def _phases(self, phases: list[Phase]) -> list[str]:
        """Phase after phase; those between which nothing is multiplied row by row, while the row is at hand."""
        out, rows = [], list[str]()
        for phase in phases:
            rows += NumbaCode(self, phase).lines()
            if phase.products or phase is phases[-1]:
                out += ["for b in range(first, last):", *(f"    {line}" for line in rows)] if rows else []
                out += map(self._product, phase.products)
                rows = []
        return out

    def _product(self, product: Product) -> str:
        """A call of the Fortran routine; seen from there all matrices are transposed, so the factors change places."""
        name = f"product{len(self.products)}"
        self.products.append(product)
        transpose, sizes, beta, matrix = (
            self.address(f"{name}.{each}") for each in ("transpose", "sizes", "beta", "matrix")
        )
        left, out = (
            f"{self.address(place.buffer)} + itemsize * ({place.row_index(self.size(self.widths[place.buffer]), 'first')}"
            f" + {self.size(place.lane)})"
            for place in (product.left, product.out)
        )
        return (
            f"gemm({transpose}, {self.address('plain')}, {sizes}, {sizes} + 4, {sizes} + 8, {self.address('one')}, "
            f"{matrix}, {sizes} + 12, {left}, {sizes} + 16, {beta}, {out}, {sizes} + 20)"
        )


class NumbaCode(PhaseCode):
    """Generates the arithmetic of one phase for Numba: a row at a time, then its lanes one by one."""

    def __init__(self, generator: CodeGenerator, phase: Phase) -> None:
        super().__init__(phase, generator.widths)
        self.generator = generator
        # One name for one lane: that what is read and written there is the same place must be plain to see.
        self.offsets: dict[tuple[str, int], str] = {}

    def _variable(self, letter: str) -> str:
        self.generator.variables += 1  # phases may share a loop
        return f"{letter}{self.generator.variables}"

    def _number(self, number: float) -> str:
        if np.isnan(number):
            return "real(np.nan)"
        return f"real({number!r})" if np.isfinite(number) else f"real({'-' * (number < 0)}np.inf)"

    def _text(self, operation: Operation) -> str:
        if operation.numba is None:
            raise Unsupported(f"{operation.name} on the CPU")
        return operation.numba

    def _row_index(self, place: Place) -> str:
        return place.row_index(self.generator.size(self.widths[place.buffer]), "b")

    def _size(self, number: int) -> str:
        return self.generator.size(number)

    def _load(self, place: Place, lane: int, index: str, boolean: bool) -> str:
        kind = "load_bool" if boolean else "load"
        return f"{kind}({self._memory(place, lane, index)}, {self.generator.scope(place, lane)})"

    def _load_invariant(self, name: str, lane: int, index: str) -> str:
        start = self.generator.size(lane) + (f" + {index}" if index else "")
        return f"load({self.generator.address(name)}, {start}, {self.generator.scope(Place(name))})"

    def _store(self, place: Place, lane: int, index: str, result: str) -> str:
        if place.sums:
            result = f"{self._load(place, lane, index, False)} + {result}"
        return f"store({self._memory(place, lane, index)}, {self.generator.scope(place, lane)}, {result})"

    def _add_to(self, total: str, result: str) -> str:
        return f"{total} = plus({total}, {result})"

    def _zero(self) -> str:
        return "zero"

    def _nest(self, before: dict[int, list[str]], after: dict[int, list[str]]) -> list[str]:
        names = [self.name(axis) for axis in range(len(self.axes))]
        sizes = [self.generator.size(size) for size in self.axes]
        lines = self.body
        if len(names) > 1:
            whole = names[0]
            for name, size in zip(names[1:], sizes[1:], strict=True):
                whole = f"({whole}) * {size} + {name}"
            lines = [f"j = {whole}", *lines]
        for depth in reversed(range(len(names))):
            loop = [f"for {names[depth]} in range({sizes[depth]}):", *(f"    {line}" for line in lines)]
            lines = [*before.get(depth, []), *loop, *after.get(depth, [])]
        return lines

    def _axis_sum(self, segment: Segment) -> tuple[int, list[str], list[str]]:
        """A sum along the innermost axis in a variable; along another one in memory, where lanes are summed side by side."""
        assert segment.sum is not None
        outer, _, inner = segment.sum
        groups = axes.refine(segment.sum, self.axes)
        assert groups is not None
        depth, result = len(groups[0]), self.lane(segment.value, segment.start)
        strides = [
            *(inner * each for each in axes.contiguous(groups[0])), *(0 for _ in groups[1]), *axes.contiguous(groups[2])
        ]  # fmt: skip
        if inner == 1:
            total = self._variable("v")
            self.body.append(self._add_to(total, result))
            return depth, [f"{total} = zero"], [self._store(segment.place, 0, self.index(strides), total)]
        there = self.index(strides)
        old = self._load(segment.place, 0, there, False)
        self.body.append(self._store(segment.place, 0, there, f"{old} + {result}"))
        zero = [
            f"for j in range({self.generator.size(outer * inner)}):",
            f"    {self._store(segment.place, 0, 'j', 'zero')}",
        ]
        return 0, zero, []

    def _memory(self, place: Place, lane: int, index: str) -> str:
        """Address and index of a lane."""
        lane += place.lane
        if lane and (place.buffer, lane) not in self.offsets:
            self.offsets[place.buffer, lane] = self.generator.size(lane)
        offset = (f" + {self.offsets[place.buffer, lane]}" if lane else "") + (f" + {index}" if index else "")
        return f"{self.generator.address(place.buffer)}, {self.row(place)}{offset}"
