"""A gradient stop behind every call of a loop: engaged, no gradient passes from what the call returned back into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor


class GradientStop:
    """Copies a tensor, with a gradient that can be stopped: then only paths that bypass the calls are left."""

    def __init__(self) -> None:
        self.is_engaged = False

    def __call__(self, part: Tensor) -> Tensor:
        """A copy, which its user may change in place."""
        return cast(Tensor, _Copy.apply(part, self))

    @contextmanager
    def engaged(self) -> Iterator[None]:
        """Let nothing pass meanwhile."""
        self.is_engaged = True
        try:
            yield
        finally:
            self.is_engaged = False


class _Copy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, stop: GradientStop) -> Tensor:
        ctx.stop = stop
        ctx.set_materialize_grads(False)
        return part.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        return None if ctx.stop.is_engaged else gradient, None
