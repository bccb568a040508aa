"""The loop on the CPU: generated and compiled once for a structure and a dtype, run over plain memory."""

import os
import sys
from array import array
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnvanish.compat.tensors import data_address
from rnnvanish.engine.cpu import blas
from rnnvanish.engine.cpu.codegen import CodeGenerator
from rnnvanish.engine.cpu.machine_code import load_or_compile
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Value
from rnnvanish.engine.plan.phases import DTYPES, LoopPlan

#: Fewer sequences a thread than this are not worth a thread, nor are fewer numbers of the widest buffer.
ROWS_PER_THREAD, NUMBERS_PER_THREAD = 16, 2**18


class CPULoop:
    """One direction of a loop, compiled.

    Args:
        plan: What it does at each step.
        widths: Width of every buffer.
        backward: Whether it runs from the last step to the first.
        dtype: Of all its numbers.
    """

    def __init__(self, plan: LoopPlan, widths: Mapping[str, int], backward: bool, dtype: torch.dtype) -> None:
        if dtype not in DTYPES:
            raise Unsupported(f"{dtype} on the CPU")
        self.generator = CodeGenerator(plan, dict(widths), backward)
        self.run = load_or_compile(self.generator.text(DTYPES[dtype]))
        self.sizes = array("q", self.generator.sizes)
        self.constants = torch.tensor([1.0, 0.0], dtype=dtype)
        self.flags = torch.tensor([ord("N"), ord("T")], dtype=torch.uint8)
        #: What the matrix products are told, for each number of rows and each way their matrices lie.
        self.products: dict[Any, tuple[dict[str, int], list[Any]]] = {}

    def __call__(
        self, steps: int, batch: int, buffers: Mapping[str, Tensor], matrices: Mapping[Value, Tensor], mask: int
    ) -> None:
        """Run over all steps; arguments are those of `loop.CompiledLoop`."""
        known = {name: data_address(buffer) for name, buffer in buffers.items()}
        known.setdefault("outputs", 0)
        left = tuple(matrices[product.matrix] for product in self.generator.products)
        for index, matrix in enumerate(left):
            known[f"product{index}.matrix"] = data_address(matrix)
        strides = tuple(matrix.stride() for matrix in left)
        numbers = steps * batch * max(self.generator.widths.values())
        worth = min(batch // ROWS_PER_THREAD, numbers // NUMBERS_PER_THREAD)
        threads = min(torch.get_num_threads(), max(worth, 1))
        cuts = [batch * part // threads for part in range(threads + 1)]
        jobs = []
        for first, last in pairwise(cuts):
            if (last - first, strides) not in self.products:
                self.products[last - first, strides] = self._products(last - first, left)
            here = known | self.products[last - first, strides][0]
            jobs.append(array("q", [here[name] for name in self.generator.addresses]))
        dense = "outputs" in buffers

        def run(addresses, first, last):  # type: ignore[no-untyped-def]
            with _flush_denormals():
                self.run(
                    addresses.buffer_info()[0], self.sizes.buffer_info()[0], steps, batch, first, last, mask, dense
                )

        if threads == 1:
            run(jobs[0], 0, batch)
            return
        for each in [_pool().submit(run, job, *cut) for job, cut in zip(jobs, pairwise(cuts), strict=True)]:
            each.result()

    def _products(self, rows: int, matrices: Sequence[Tensor]) -> tuple[dict[str, int], list[Any]]:
        """Addresses of what the matrix products are told, for so many rows; and what must stay alive for them."""
        one, flags = self.constants.data_ptr(), self.flags.data_ptr()
        known, keep = {"one": one, "plain": flags}, []
        for index, (product, matrix) in enumerate(zip(self.generator.products, matrices, strict=True)):
            transposed = matrix.stride(1) != 1
            step = matrix.stride(0) if not transposed else matrix.stride(1)
            widths, heads = self.generator.widths, product.heads
            sizes = np.array(
                [matrix.shape[1], rows * heads, matrix.shape[0], max(step, 1), widths[product.left.buffer] // heads,
                 widths[product.out.buffer] // heads], dtype=np.int32,
            )  # fmt: skip
            keep.append(sizes)
            known |= {
                f"product{index}.transpose": flags + transposed,
                f"product{index}.sizes": sizes.ctypes.data,
                f"product{index}.beta": one if product.accumulate else one + self.constants.element_size(),
            }
        return known, keep


def _pool() -> ThreadPoolExecutor:
    return _pool_of(os.getpid())


@cache
def _pool_of(process: int) -> ThreadPoolExecutor:
    """One for each process: after a fork there are no threads in that of the parent, and it would wait for them."""
    return ThreadPoolExecutor(os.cpu_count(), "rnnvanish", initializer=blas.limit_to_one_thread)


class _flush_denormals:
    """Count numbers below the smallest normal one as zero: a vanishing gradient ends in them, and they are slow."""

    def __enter__(self) -> None:
        self.before = _flushes_denormals()
        torch.set_flush_denormal(True)

    def __exit__(self, *_: object) -> None:
        torch.set_flush_denormal(self.before)


_TINY = sys.float_info.min / 4


def _flushes_denormals() -> bool:
    """Whether this thread counts denormal numbers as zero."""
    return _TINY == 0.0
