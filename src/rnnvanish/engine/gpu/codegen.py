"""Printing a loop as a Triton kernel.

A program of the grid takes a block of sequences through all time steps: rows need nothing of each other, so programs
never wait. Everything that one step hands to the next, and one phase to the next, goes through memory that the program
alone touches; a barrier stands where one thread may read what another has written.
"""

from itertools import pairwise

import numpy as np

from rnnvanish.engine.cpu.codegen import Lanes
from rnnvanish.engine.gpu.mathematics import TEXT
from rnnvanish.engine.ir.operations import Operation
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Value
from rnnvanish.engine.plan.phases import LoopPlan, Phase, Place, Product

#: Sequences, or steps of a scan, in a tile; its lanes; lines of a matrix in a tile of a product.
ROWS, LANES, DEPTH = 16, 64, 32
KERNEL = """

@triton.jit(do_not_specialize=["steps", "batch", "mask"])
def {name}({arguments}, steps, batch, mask, dense: tl.constexpr):
"""
BARRIER = "tl.debug_barrier()"


class CodeGenerator:
    """Prints one loop, and knows what the printed kernel is to be given.

    Args:
        loop: What to print.
        widths: Width of every buffer.
        back: Whether it runs from the last step to the first.
        dtype: "float32" or "float64".
    """

    def __init__(self, loop: LoopPlan, widths: dict[str, int], back: bool, dtype: str) -> None:
        self.widths, self.back, self.dtype = widths, back, dtype
        self.buffers: dict[str, str] = {}  # what the kernel is given -> its variable
        self.products: list[Product] = []
        self.names = 0
        self.kernels = self._kernels(loop)

    def text(self) -> str:
        """The whole module."""
        arguments = list(self.buffers.values())
        arguments += [f"m{index}, m{index}_down, m{index}_right" for index in range(len(self.products))]
        head = f"{TEXT}\n\ntanh = tanh_{self.dtype}\n"
        for name, lines in self.kernels.items():
            head += KERNEL.format(name=name, arguments=", ".join(arguments))
            head += "\n".join(f"    {line}" for line in lines) + "\n"
        return head

    def grids(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """How many programs each kernel takes."""
        return {"loop": (-(-batch // ROWS),)}

    def _kernels(self, loop: LoopPlan) -> dict[str, list[str]]:
        body = [line for phase in loop.phases for line in self._phase(phase)]
        if self.back:
            body = self._incoming() + body
        return {
            "loop": [
                f"row = (tl.program_id(0) * {ROWS} + tl.arange(0, {ROWS})).to(tl.int64)[:, None]",
                "here = row < batch",
                "for index in range(steps):",
                f"    t = {'steps - 1 - index' if self.back else 'index'}",
                *(f"    {line}" for line in body),
            ]
        }

    def name(self, letter: str) -> str:
        """A name that no other line of the kernels has: a variable keeps its type through a loop."""
        self.names += 1
        return f"{letter}{self.names}"

    def number(self, number: float, rows: int = 1, lanes: int = 1) -> str:
        """A constant; as a tensor, since Triton takes a bare number for single precision."""
        text = repr(number) if np.isfinite(number) else f'{"-" * (number < 0)}float("{abs(number)}")'
        return f"tl.full(({rows}, {lanes}), {text}, tl.{self.dtype})"

    def address(self, name: str) -> str:
        """Variable of a buffer."""
        return self.buffers.setdefault(name, f"p{len(self.buffers)}")

    def row(self, place: Place) -> str:
        """Index of the first number of the buffer's row of each sequence."""
        return place.row(str(self.widths[place.buffer]), "row")

    def _incoming(self) -> list[str]:
        """Add the gradient that the outputs of this step received to that of the state."""
        into, width = Place("carry0", shift=1), self.widths["state0"]
        self.widths["outputs"] = width
        carry, output = self.address("carry0"), self.address("outputs")
        return [
            "if dense:",
            *(
                f"    {line}"
                for line in tiled(
                    width,
                    [
                        f"at = {carry} + {self.row(into)} + j",
                        f"more = tl.load({output} + {self.row(Place('outputs'))} + j, there, other=0)",
                        "tl.store(at, tl.load(at, there, other=0) + more, there)",
                    ],
                )
            ),
            f"    {BARRIER}",
        ]

    def _phase(self, phase: Phase) -> list[str]:
        lines = Tiles(self, phase).lines()
        for product in phase.products:
            lines += [BARRIER, *self._product(product)]
        return [*lines, BARRIER]

    def _product(self, product: Product) -> list[str]:
        matrix, height, width = f"m{len(self.products)}", product.height, product.matrix.width
        self.products.append(product)
        left, out = (
            f"{self.address(place.buffer)} + {self.row(place)} + {place.lane}" for place in (product.left, product.out)
        )
        depth = min(DEPTH, tile(height))
        start = f"tl.load({out} + j, there, other=0)" if product.accumulate else None
        return tiled(
            width,
            [
                f"total = {start or self.number(0.0, ROWS, min(LANES, tile(width)))}",
                f"for first in range(0, {height}, {depth}):",
                f"    k = first + tl.arange(0, {depth})",
                f"    a = tl.load({left} + k[None, :], here & (k[None, :] < {height}), other=0)",
                f"    at = {matrix} + k[:, None] * {matrix}_down + j * {matrix}_right",
                f"    b = tl.load(at, (k[:, None] < {height}) & (j < {width}), other=0)",
                f'    total = tl.dot(a, b, total, input_precision="ieee", out_dtype=tl.{self.dtype})',
                f"tl.store({out} + j, total, there)",
            ],
        )


def tile(width: int) -> int:
    """The power of two that a tile of so many lanes needs, 16 at least: products take no fewer."""
    return max(16, 1 << (width - 1).bit_length())


def tiled(width: int, body: list[str]) -> list[str]:
    """Lines for lanes `j`, which are `there`, in tiles.

    Where one tile is enough there is a loop all the same: what is named in it is forgotten behind it.
    """
    size = min(LANES, tile(width))
    lines = [f"j = (start + tl.arange(0, {size}))[None, :]", f"there = here & (j < {width})", *body]
    return [f"for start in range(0, {width}, {size}):", *(f"    {line}" for line in lines)]


class Tiles(Lanes):
    """Prints the arithmetic of one phase on tiles: all rows of a block, and some lanes."""

    def _loop(self, width: int, work: list[tuple[Value, Place, int, int, bool]]) -> list[str]:
        self.body, self.lanes, self.width = [], {}, width
        for value, place, start, _, is_sum in work:
            result = self._lane(value, start)
            if is_sum:
                masked = f"tl.where(there, {result}, 0.0)"
                self.body.append(f"{self._total(place)} += tl.reduce({masked}, 1, plus, keep_dims=True)")
            else:
                self.body.append(f"tl.store({self._memory(place, start, False)}, {result}, there)")
        return tiled(width, self.body)

    def _zero(self) -> str:
        return str(self.generator.number(0.0, ROWS))

    def _write(self, place: Place, name: str) -> str:
        return f"tl.store({self._memory(place, 0, True)}, {name}, here)"

    def segments(self, width: int, *values: Value) -> list[tuple[int, int]]:
        """Stretches of lanes within which each of some values is computed in one way."""
        cuts = sorted({0, width, *(cut for value in values for cut in self._cuts(value) if 0 < cut < width)})
        return [(start, end - start) for start, end in pairwise(cuts)]

    def lane(self, value: Value, lane: int) -> str:
        """Expression for lanes `lane` + j of a value; what it needs is in `head` and `body`."""
        return self._lane(value, lane)

    def _name(self) -> str:
        return str(self.generator.name("v"))

    def _base(self, place: Place) -> str:
        key = Place(place.buffer, place.shift)
        if key not in self.rows:
            self.rows[key] = self.generator.name("r")
            self.head.append(f"{self.rows[key]} = {self.generator.row(key)}")
        return self.rows[key]

    def _lane(self, value: Value, lane: int, single: bool = False) -> str:
        return self.generator.number(value.detail[0]) if value.op == "constant" else super()._lane(value, lane, single)

    def _expression(self, value: Value, lane: int, single: bool) -> str:
        if value in self.phase.at:
            text = (
                f"tl.load({self._memory(self.phase.at[value], lane, single)}, {'here' if single else 'there'}, other=0)"
            )
            return f"{text} != 0" if value.boolean else text
        if value.op == "invariant":
            name = self.generator.address(f"invariant{value.detail[0]}")
            if single:
                return f"{self.generator.number(0.0)} + tl.load({name} + {lane})"
            return f"tl.load({name} + {lane} + j, j < {self.width}, other=0)"
        return super()._expression(value, lane, single)

    def _text(self, operation: Operation) -> str:
        if operation.triton is None:
            raise Unsupported(f"{operation.name} on the GPU")
        return operation.triton

    def _memory(self, place: Place, lane: int, single: bool) -> str:
        """Address of a lane."""
        lane += place.lane
        offset = (f" + {lane}" if lane else "") + ("" if single else " + j")
        return f"{self.generator.address(place.buffer)} + {self._base(place)}{offset}"
