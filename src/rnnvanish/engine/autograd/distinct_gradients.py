"""Gradients that share no memory.

Where nobody else refers to a gradient, torch keeps it as a parameter's `.grad` as it is. It counts who refers to the
tensor, not who refers to its memory: two views of one memory become the `.grad` of two parameters, and what is then
added to one of them, or scaled, is so for both.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


def unshared(gradients: Iterable[Tensor | None], others: Iterable[Tensor] = ()) -> list[Tensor | None]:
    """Copy every gradient whose memory belongs to another one, or to one of `others`."""
    # The storage's own address: asking for that of its numbers would copy those that are copied on write.
    taken = {tensor.untyped_storage()._cdata for tensor in others}
    found = []
    for gradient in gradients:
        if gradient is not None:
            memory = gradient.untyped_storage()._cdata
            gradient = gradient.clone() if memory in taken else gradient
            taken.add(memory)
        found.append(gradient)
    return found


class _Parting(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        return tuple(unshared(gradients))


def parting(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The same tensors, whose gradients will share no memory whatever is done with them."""
    parted: tuple[Tensor, ...] = _Parting.apply(*tensors)
    return parted
