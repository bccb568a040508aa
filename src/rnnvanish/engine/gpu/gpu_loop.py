"""The loop on the GPU: generated for Triton, which compiles it at its first run and keeps it on disk.

One kernel runs all time steps. Weights are read anew at every step, from the caches of the chip while they fit there.
"""

import itertools
import linecache
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from rnnvanish.engine.gpu.codegen import CodeGenerator
from rnnvanish.engine.gpu.scan_codegen import ScanCodeGenerator
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Value
from rnnvanish.engine.plan.parallel_scan import linear_recurrence
from rnnvanish.engine.plan.phases import DTYPES, LoopPlan
from rnnvanish.names import installed


class GPULoop:
    """One direction of a loop, generated.

    Args:
        plan: What it does at each step.
        widths: Width of every buffer.
        backward: Whether it runs from the last step to the first.
        dtype: Of all its numbers.

    Raises:
        Unsupported: For another dtype than single and double precision, and where Triton cannot be imported.
    """

    def __init__(self, plan: LoopPlan, widths: Mapping[str, int], backward: bool, dtype: torch.dtype) -> None:
        if dtype not in DTYPES:
            raise Unsupported(f"{dtype} on the GPU")
        self.backward = backward
        self.scans = linear_recurrence(plan, backward) is not None
        make = ScanCodeGenerator if self.scans else CodeGenerator
        self.generator = make(plan, dict(widths), backward, DTYPES[dtype])
        self.module = _module(self.generator.text())

    def __call__(
        self, steps: int, batch: int, buffers: Mapping[str, Tensor], matrices: Mapping[Value, Tensor], mask: int
    ) -> None:
        """Run over all steps; arguments are those of `loop.CompiledLoop`."""
        if not batch:
            return
        with torch.cuda.device_of(next(iter(buffers.values()))):
            if self.scans and self.backward:
                self._scan_backward(steps, batch, buffers, mask)
            else:
                self._launch(steps, batch, buffers, matrices, mask)

    def _scan_backward(self, steps: int, batch: int, buffers: Mapping[str, Tensor], mask: int) -> None:
        """A scan has the gradients of all steps at once: they get memory of their own where there is none for them."""
        carries = {name: buffer for name, buffer in buffers.items() if name.startswith("carry")}
        whole = carries
        if mask != -1:
            whole = {name: carry.new_empty(steps + 1, *carry.shape[1:]) for name, carry in carries.items()}
        for name, carry in whole.items():
            carry[steps] = carries[name][steps & mask]
        if "outputs" in buffers:
            whole["carry0"][steps] += buffers["outputs"].reshape(steps, batch, -1)[steps - 1]
        self._launch(steps, batch, {**buffers, **whole}, {}, -1)
        for name, carry in whole.items():
            carries[name][0] = carry[0]

    def _launch(
        self, steps: int, batch: int, buffers: Mapping[str, Tensor], matrices: Mapping[Value, Tensor], mask: int
    ) -> None:
        unread = next(iter(buffers.values()))  # stands for what this run has not
        arguments: list[Any] = [buffers.get(name, unread) for name in self.generator.buffers]
        for product in self.generator.products:
            matrix = matrices[product.matrix]
            arguments += [matrix, *matrix.stride()]
        for name, grid in self.generator.grids(steps, batch).items():
            # One stage: more would read the state of a step before the step has written it.
            getattr(self.module, name)[grid](
                *arguments, steps, batch, mask, dense="outputs" in buffers, num_warps=4, num_stages=1
            )


_count = itertools.count()


@cache
def _module(text: str) -> Any:
    """The kernels of a generated module. Triton wants to read their source: it gets it where tracebacks get theirs."""
    try:
        installed("triton", "gpu", "A compiled loop on a GPU")
    except ImportError as error:
        raise Unsupported(f"Triton: {error}") from None
    name = f"<rnnvanish kernel {next(_count)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict[str, Any] = {"__name__": name}
    exec(compile(text, name, "exec"), names)  # noqa: S102
    return SimpleNamespace(**{key: value for key, value in names.items() if key in ("loop", "scan", "rest")})
