"""A gate behind every call of a loop: closed, no gradient passes from what the model is handed back into the call."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor


class Gate:
    """Copies a tensor, with a gradient that can be stopped: then only ways that pass the calls by are left."""

    def __init__(self) -> None:
        self.open = True

    def __call__(self, part: Tensor) -> Tensor:
        """A copy, which its user may change in place."""
        return cast(Tensor, _Copy.apply(part, self))

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let nothing pass meanwhile."""
        self.open = False
        try:
            yield
        finally:
            self.open = True


class _Copy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, gate: Gate) -> Tensor:
        ctx.gate = gate
        ctx.set_materialize_grads(False)
        return part.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        return gradient if ctx.gate.open else None, None
