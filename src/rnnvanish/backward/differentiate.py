"""The gradient of a loss by every state of a model's loops, and what there is to say where there is none."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rnnvanish.names import listed
from rnnvanish.observe.checks import Unmeasurable
from rnnvanish.observe.record import Run

#: The parts of a state, in whatever form.
Tensors = tuple[Tensor, ...]


def differentiate(
    model: nn.Module, runs: list[Run], value: Tensor, states: Sequence[Tensors], keep: bool = False
) -> list[Tensors]:
    """Compute the derivative of `value` by every part of `states`, zero where none leads there.

    Args:
        model: For the message.
        runs: For the message.
        value: A number.
        states: Tensors of its graph, or outside of it.
        keep: Whether the graph is needed again.

    Raises:
        ValueError: Where none of them has a gradient: says why; where an operation of the model has no derivative.
    """
    inside = [part for state in states for part in state if part.requires_grad]
    there = value.requires_grad and inside
    found = torch.autograd.grad(value, inside, allow_unused=True, retain_graph=keep) if there else ()
    if all(gradient is None for gradient in found):
        raise Unmeasurable(_missing_gradient(model, runs, value))
    remaining = iter(found)
    every = [[next(remaining) if part.requires_grad else None for part in state] for state in states]
    return [
        tuple(torch.zeros_like(part) if g is None else g for part, g in zip(state, row, strict=True))
        for state, row in zip(states, every, strict=True)
    ]


def _missing_gradient(model: nn.Module, runs: list[Run], value: Tensor) -> str:
    said = f"The loss does not depend on a recurrent layer of {type(model).__name__}. Seen were {listed(r.name for r in runs)}. "
    if not any(run.has_graph for run in runs):
        return (
            said + "All of them ran under no_grad() or inference_mode(): leave that out of the forward to measure it."
        )
    if not value.requires_grad:
        return said + (
            "It has no gradient at all: is there a detach(), a no_grad(), an item() or a numpy() on its way, or is it "
            "computed from inputs alone? Name another with loss=."
        )
    return said + (
        "Its gradient goes elsewhere: is there a detach() or a no_grad() between them and the loss, or does the loss read "
        "another part of the model? Name one with loss= that reads what they return."
    )
