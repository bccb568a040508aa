"""The loop on the CPU: compiled by Numba once for a structure and a dtype, kept on disk, run over plain memory."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnvanish.engine import numba_math, numba_memory
from rnnvanish.engine.folders import folders
from rnnvanish.engine.numba_text import Printer
from rnnvanish.engine.phases import DTYPES, Loop
from rnnvanish.engine.values import Unsupported, Value
from rnnvanish.files import write_whole

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
        self.run = _compiled(self.printer.text(DTYPES[dtype]))
        self.sizes = np.array(self.printer.sizes, dtype=np.int64)
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
        return np.array([known[name] for name in self.printer.addresses], dtype=np.int64), keep


@cache
def _compiled(text: str) -> Callable[..., None]:
    """Import a printed module; what Numba compiles of it stays on disk beside it."""
    sources = [Path(str(module.__file__)).read_bytes() for module in (numba_math, numba_memory)]
    digest = hashlib.sha256(b"".join([text.encode(), *sources])).hexdigest()[:20]
    name = f"rnnvanish_loop_{digest}"
    for folder in folders():
        path = folder / f"{name}.py"
        try:
            if not path.exists():
                write_whole(path, text)
        except OSError:
            continue
        return _imported(name, path).loop  # type: ignore[no-any-return]
    raise Unsupported("a place on disk for what is compiled (set RNNVANISH_CACHE to a folder that can be written)")


def _imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "rnnvanish", initializer=numba_memory.one_thread)


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
