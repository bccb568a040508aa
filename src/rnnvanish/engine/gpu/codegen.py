"""Generates a loop as a Triton kernel.

A program of the grid takes a block of sequences through all time steps: rows need nothing of each other, so programs
never wait. Everything that one step hands to the next, and one phase to the next, goes through memory that the program
alone touches; a barrier stands where one thread may read what another has written.
"""

import numpy as np

from rnnvanish.engine.gpu.mathematics import HEADER
from rnnvanish.engine.ir.lowering import axes
from rnnvanish.engine.ir.operations import Operation
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.plan.phase_code import PhaseCode, Segment
from rnnvanish.engine.plan.phases import LoopPlan, Phase, Place, Product

#: Sequences, or steps of a scan, in a tile; its lanes; lines of a matrix in a tile of a product.
ROWS, LANES, DEPTH = 16, 64, 32
KERNEL = """

@triton.jit(do_not_specialize=["steps", "batch", "mask"])
def {name}({arguments}, steps, batch, mask, dense: tl.constexpr):
"""
BARRIER = "tl.debug_barrier()"


class CodeGenerator:
    """Generates one loop, and knows what the generated kernel is to be given.

    Args:
        plan: What the loop does.
        widths: Width of every buffer.
        backward: Whether it runs from the last step to the first.
        dtype: "float32" or "float64".
    """

    def __init__(self, plan: LoopPlan, widths: dict[str, int], backward: bool, dtype: str) -> None:
        self.widths, self.backward, self.dtype = widths, backward, dtype
        self.buffers: dict[str, str] = {}  # what the kernel is given -> its variable
        self.products: list[Product] = []
        self._count = 0
        self.kernels = self._kernels(plan)

    def text(self) -> str:
        """The whole module."""
        arguments = list(self.buffers.values())
        arguments += [f"m{index}, m{index}_down, m{index}_right" for index in range(len(self.products))]
        head = f"{HEADER}\n\ntanh = tanh_{self.dtype}\n"
        for name, lines in self.kernels.items():
            head += KERNEL.format(name=name, arguments=", ".join(arguments))
            head += "\n".join(f"    {line}" for line in lines) + "\n"
        return head

    def grids(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """How many programs each kernel takes."""
        return {"loop": (-(-batch // ROWS),)}

    def _kernels(self, plan: LoopPlan) -> dict[str, list[str]]:
        body = [line for phase in plan.phases for line in self._phase(phase)]
        if self.backward:
            body = self._output_gradient() + body
        return {
            "loop": [
                f"row = (tl.program_id(0) * {ROWS} + tl.arange(0, {ROWS})).to(tl.int64)[:, None]",
                "here = row < batch",
                "for index in range(steps):",
                f"    t = {'steps - 1 - index' if self.backward else 'index'}",
                *(f"    {line}" for line in body),
            ]
        }

    def variable(self, letter: str) -> str:
        """A name that no other line of the kernels has: a variable keeps its type through a loop."""
        self._count += 1
        return f"{letter}{self._count}"

    def number(self, number: float, rows: int = 1, lanes: int = 1) -> str:
        """A constant; as a tensor, since Triton takes a bare number for single precision."""
        text = repr(number) if np.isfinite(number) else f'{"-" * (number < 0)}float("{abs(number)}")'
        return f"tl.full(({rows}, {lanes}), {text}, tl.{self.dtype})"

    def address(self, name: str) -> str:
        """Variable of a buffer."""
        return self.buffers.setdefault(name, f"p{len(self.buffers)}")

    def row_index(self, place: Place) -> str:
        """Index of the first number of the buffer's row of each sequence."""
        return place.row_index(str(self.widths[place.buffer]), "row")

    def _output_gradient(self) -> list[str]:
        """Add the gradient by the output of this step to that by the state."""
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
                        f"at = {carry} + {self.row_index(into)} + j",
                        f"more = tl.load({output} + {self.row_index(Place('outputs'))} + j, there, other=0)",
                        "tl.store(at, tl.load(at, there, other=0) + more, there)",
                    ],
                )
            ),
            f"    {BARRIER}",
        ]

    def _phase(self, phase: Phase) -> list[str]:
        lines = TritonCode(self, phase).lines()
        for product in phase.products:
            lines += [BARRIER, *(line for head in range(product.heads) for line in self._product(product, head))]
            self.products.append(product)
        return [*lines, BARRIER]

    def _product(self, product: Product, head: int) -> list[str]:
        matrix, height, width = f"m{len(self.products)}", product.height, product.matrix.width
        left, out = (
            f"{self.address(place.buffer)} + {self.row_index(place)} + {place.lane + head * size}"
            for place, size in ((product.left, height), (product.out, width))
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


class TritonCode(PhaseCode):
    """Generates the arithmetic of one phase for Triton, on tiles: all rows of a block, and some lanes."""

    def __init__(self, generator: CodeGenerator, phase: Phase) -> None:
        super().__init__(phase, generator.widths)
        self.generator = generator

    def _variable(self, letter: str) -> str:
        return self.generator.variable(letter)

    def _number(self, number: float) -> str:
        return self.generator.number(number)

    def _text(self, operation: Operation) -> str:
        if operation.triton is None:
            raise Unsupported(f"{operation.name} on the GPU")
        return operation.triton

    def _row_index(self, place: Place) -> str:
        return self.generator.row_index(place)

    def _size(self, number: int) -> str:
        return str(number)

    def _load(self, place: Place, lane: int, index: str, boolean: bool) -> str:
        text = f"tl.load({self._memory(place, lane, index)}, {'there' if index else 'here'}, other=0)"
        return f"{text} != 0" if boolean else text

    def _load_invariant(self, name: str, lane: int, index: str) -> str:
        memory = f"{self.generator.address(name)} + {lane}"
        if not index:
            return f"{self.generator.number(0.0)} + tl.load({memory})"
        return f"tl.load({memory} + {index}, j < {self.width}, other=0)"

    def _store(self, place: Place, lane: int, index: str, result: str) -> str:
        if place.sums:
            result = f"{self._load(place, lane, index, False)} + {result}"
        return f"tl.store({self._memory(place, lane, index)}, {result}, {'there' if index else 'here'})"

    def _add_to(self, total: str, result: str) -> str:
        return f"{total} += tl.reduce(tl.where(there, {result}, 0.0), 1, plus, keep_dims=True)"

    def _zero(self) -> str:
        return self.generator.number(0.0, ROWS)

    def _nest(self, before: dict[int, list[str]], after: dict[int, list[str]]) -> list[str]:
        return tiled(self.width, [*self._indices(), *self.body])

    def _indices(self) -> list[str]:
        """The index along each axis, where there are several."""
        inner = axes.contiguous(self.axes)
        sizes = enumerate(zip(self.axes, inner, strict=True)) if len(self.axes) > 1 else ()
        return [f"{self.name(axis)} = j // {more} % {size}" for axis, (size, more) in sizes]

    def _axis_sum(self, segment: Segment) -> tuple[int, list[str], list[str]]:
        raise AssertionError("sums over an axis stand apart")

    def _sum_apart(self, axes: tuple[int, ...], segments: list[Segment]) -> list[str]:
        """Lanes of the sum are a tile; what is summed is computed for one index of the axis after the other."""
        (segment,) = segments
        assert segment.sum is not None
        outer, size, inner = segment.sum
        self.body, self._lanes, self.axes = [], {}, axes
        result, total, lane = self.lane(segment.value, 0), self._variable("v"), self._variable("j")
        rows = self.generator.number(0.0, ROWS, min(LANES, tile(outer * inner)))
        return tiled(
            outer * inner,
            [
                f"{lane} = j",
                f"{total} = {rows}",
                f"for k in range(0, {size}):",
                f"    j = ({lane} // {inner} * {size} + k) * {inner} + {lane} % {inner}",
                *(f"    {line}" for line in [*self._indices(), *self.body, f"{total} += {result}"]),
                self._store(segment.place, 0, lane, total),
            ],
        )

    def _memory(self, place: Place, lane: int, index: str) -> str:
        """Address of a lane."""
        lane += place.lane
        offset = (f" + {lane}" if lane else "") + (f" + {index}" if index else "")
        return f"{self.generator.address(place.buffer)} + {self.row(place)}{offset}"
