"""The gradient of an output beside the state: redirected to the state that is recorded, of which the output is a function.

A step may return more than its state: `(head(h), h)`. A loss that reads that output reads the state, and so its
gradient belongs to the state. Since the state that is measured is a tensor of its own (its parts are independent
coordinates), the gradient that an output sends back is redirected to it here, and subtracted on the path that it came by.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor


def redirect_gradient(
    output: Tensor, made: list[Tensor], kept: list[Tensor], flat: list[Callable[[Tensor], Tensor]]
) -> Tensor:
    """Have `output` depend on `kept` where it depends on `made`, the same numbers.

    Args:
        output: Another thing that a step returned.
        made: The parts of the state as the step made them.
        kept: The tensors that stand for them, (batch, numbers); they may have more rows behind.
        flat: What brings each part into that form.
    """
    return cast(Tensor, _RedirectGradient.apply(output, (output, made, flat), *made, *kept))


class _RedirectGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, output: Tensor, graph: tuple[Any, ...], *states: Tensor) -> Tensor:
        ctx.graph, ctx.sizes = graph, [len(state) for state in states[len(graph[1]) :]]
        return output.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        output, made, flat = ctx.graph
        reads = direct_gradient(output, made, gradient)
        away = [None if read is None else -read for read in reads]
        rows = [None if read is None else form(read) for read, form in zip(reads, flat, strict=True)]
        to = [
            None if read is None else torch.cat([read, read.new_zeros(size - len(read), read.shape[1])])
            for read, size in zip(rows, ctx.sizes, strict=True)
        ]
        return gradient, None, *away, *to


def direct_gradient(output: Tensor, parts: list[Tensor], gradient: Tensor) -> list[Tensor | None]:
    """The gradient of each part where `output` reads it itself, not by way of another part (an LSTM's h reads its c)."""
    in_graph = [place for place, part in enumerate(parts) if part.requires_grad]
    found = _grad([output], [parts[place] for place in in_graph], [gradient])
    total: list[Tensor | None] = [None] * len(parts)
    for place, part in zip(in_graph, found, strict=True):
        total[place] = part
    if sum(part is not None for part in total) < 2:
        return total
    made_of = {
        place: {other for other in in_graph if other != place and _depends(parts[place], parts[other])}
        for place in in_graph
    }
    # A part that others are made of comes after those: what they take from it is then known.
    for place in sorted(in_graph, key=lambda place: -len(made_of[place])):
        own = total[place]
        for other in made_of[place]:
            before = total[other]
            if own is not None and before is not None:
                (passed,) = _grad([parts[place]], [parts[other]], [own])
                total[other] = before if passed is None else before - passed
    return total


def _depends(part: Tensor, other: Tensor) -> bool:
    return _grad([part], [other], [torch.ones_like(part)])[0] is not None


def _grad(outputs: list[Tensor], inputs: list[Tensor], gradients: list[Tensor]) -> tuple[Tensor | None, ...]:
    if not inputs:
        return ()
    return torch.autograd.grad(outputs, inputs, gradients, retain_graph=True, allow_unused=True)
