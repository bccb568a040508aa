"""Gradients that share no memory.

Where nobody else refers to a gradient, torch keeps it as a parameter's `.grad` as it is. It counts who refers to the
tensor, not who refers to its memory: two views of one memory become the `.grad` of two parameters, and what is then
added to one of them, or scaled, is so for both.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from rnnvanish.compat.tensors import storage_id


def copy_shared(gradients: Iterable[Tensor | None], others: Iterable[Tensor] = ()) -> list[Tensor | None]:
    """Copy every gradient whose memory belongs to another one, or to one of `others`."""
    taken = {storage_id(tensor) for tensor in others}
    found = []
    for gradient in gradients:
        if gradient is not None:
            memory = storage_id(gradient)
            gradient = gradient.clone() if memory in taken else gradient
            taken.add(memory)
        found.append(gradient)
    return found


class _DistinctGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        return tuple(copy_shared(gradients))


def with_distinct_gradients(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The same tensors, whose gradients will share no memory whatever is done with them."""
    parted: tuple[Tensor, ...] = _DistinctGradients.apply(*tensors)
    return parted
