"""The loop on the CPU: printed and compiled once for a structure and a dtype, run over plain memory."""

import ctypes
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnvanish.engine import blas
from rnnvanish.engine.machine_code import compiled
from rnnvanish.engine.numba_text import Printer
from rnnvanish.engine.phases import DTYPES, Loop
from rnnvanish.engine.values import Unsupported, Value

#: Fewer sequences a thread than this are not worth a thread.
ROWS_PER_THREAD = 16


class CPULoop:
    """One direction of a loop, printed and compiled.

    Args:
        loop: What it does at each step.
        widths: Width of every buffer.
        back: Whether it runs from the last step to the first.
        dtype: Of all its numbers.
    """

    def __init__(self, loop: Loop, widths: Mapping[str, int], back: bool, dtype: torch.dtype) -> None:
        if dtype not in DTYPES:
            raise Unsupported(f"{dtype} on the CPU")
        self.printer = Printer(loop, dict(widths), back)
        self.run = compiled(self.printer.text(DTYPES[dtype]))
        self.addresses = ctypes.c_int64 * len(self.printer.addresses)
        self.sizes = (ctypes.c_int64 * len(self.printer.sizes))(*self.printer.sizes)
        self.constants = torch.tensor([1.0, 0.0], dtype=dtype)
        self.letters = torch.tensor([ord("N"), ord("T")], dtype=torch.uint8)

    def __call__(
        self, steps: int, batch: int, buffers: Mapping[str, Tensor], matrices: Mapping[Value, Tensor], mask: int
    ) -> None:
        """Run over all steps.

        Args:
            steps: How many.
            batch: Sequences.
            buffers: Memory by its name: contiguous.
            matrices: What rows are multiplied by.
            mask: Of the slots of carries: 1 for two of them in turn, -1 for one a step.
        """
        threads = min(torch.get_num_threads(), max(batch // ROWS_PER_THREAD, 1))
        cuts = [batch * part // threads for part in range(threads + 1)]
        jobs = [self._job(first, last, buffers, matrices) for first, last in pairwise(cuts)]
        dense = "outputs" in buffers

        def run(job: tuple[Any, ...], first: int, last: int) -> None:
            with _flushed():
                self.run(job[0], self.sizes, steps, batch, first, last, mask, dense)

        if threads == 1:
            run(jobs[0], 0, batch)
            return
        for each in [_pool().submit(run, job, *cut) for job, cut in zip(jobs, pairwise(cuts), strict=True)]:
            each.result()

    def _job(
        self, first: int, last: int, buffers: Mapping[str, Tensor], matrices: Mapping[Value, Tensor]
    ) -> tuple[Any, ...]:
        """Addresses of everything that the printed function reads; and what must stay alive meanwhile."""
        known = {name: buffer.data_ptr() for name, buffer in buffers.items()}
        one, letters = self.constants.data_ptr(), self.letters.data_ptr()
        known |= {"one": one, "plain": letters}
        known.setdefault("outputs", 0)
        keep = []
        for index, product in enumerate(self.printer.products):
            matrix = matrices[product.matrix]
            turned = matrix.stride(1) != 1
            step = matrix.stride(0) if not turned else matrix.stride(1)
            widths = self.printer.widths
            sizes = np.array(
                [matrix.shape[1], last - first, matrix.shape[0], max(step, 1), widths[product.left.buffer],
                 widths[product.out.buffer]], dtype=np.int32,
            )  # fmt: skip
            keep.append(sizes)
            known |= {
                f"product{index}.turn": letters + turned,
                f"product{index}.sizes": sizes.ctypes.data,
                f"product{index}.beta": one if product.accumulate else one + self.constants.element_size(),
                f"product{index}.matrix": matrix.data_ptr(),
            }
        return self.addresses(*[known[name] for name in self.printer.addresses]), keep


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "rnnvanish", initializer=blas.one_thread)


class _flushed:
    """Count numbers below the smallest normal one as zero: a vanishing gradient ends in them, and they are slow."""

    def __enter__(self) -> None:
        self.before = _flushes()
        torch.set_flush_denormal(True)

    def __exit__(self, *_: object) -> None:
        torch.set_flush_denormal(self.before)


_TINY = np.array([1e-39], dtype=np.float32)


def _flushes() -> bool:
    """Whether this thread counts denormal numbers as zero."""
    return float(torch.from_numpy(_TINY).mul(1.0)[0]) == 0.0
