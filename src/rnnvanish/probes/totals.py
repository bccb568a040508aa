"""The total gradient of every state of a model, and how measures of one loop become measures of a model."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rnnvanish.probes.again import Series
from rnnvanish.probes.endpoint import read_end
from rnnvanish.probes.watch import Cells, Run, watch

Found = TypeVar("Found")
Loss = Callable[[Any], Tensor] | None


def each_loop(
    model: nn.Module,
    inputs: Any,
    loss: Loss,
    measure: Callable[[Run, Series], Found],
    resolved: Callable[[Found], bool] = lambda found: True,
    cells: Cells = (),
) -> dict[str, Found]:
    """Measure every loop of `model`.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        loss: What the gradient starts from, as in `probes.retention`.
        measure: Takes a loop and its total gradients, a tensor (time, sequences, size) for each part of the state.
        resolved: Whether the model's own precision held what was measured; if not, it is measured again in double.
        cells: Modules that are one step of a loop which the model itself writes.

    Raises:
        ValueError, RuntimeError: Those of `probes.retention`.
    """

    def of_all(output: Any, runs: list[Run]) -> dict[str, Found]:
        found = totals(model, output, runs, loss)
        return {run.name: measure(run, gradients) for run, gradients in zip(runs, found, strict=True)}

    with torch.enable_grad():
        return watch(model, inputs, of_all, lambda found: all(map(resolved, found.values())), cells)


def totals(model: nn.Module, output: Any, runs: list[Run], loss: Loss) -> list[Series]:
    """The derivative of the loss with respect to every state of each loop, through all later steps; zero where none."""
    value = read_end(model, output, runs) if loss is None else loss(output)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(f"The loss must be a tensor of one number, got {getattr(value, 'shape', value)}.")
    states = [part for run in runs for state in run.states for part in state]
    in_graph = [state for state in states if state.requires_grad]  # others ran under no_grad
    found = torch.autograd.grad(value, in_graph, retain_graph=True, allow_unused=True) if value.requires_grad else ()
    if all(gradient is None for gradient in found):
        raise ValueError(
            f"The loss does not depend on a recurrent layer of {type(model).__name__}: is there a detach() or a "
            "no_grad() on the way?"
        )
    remaining = iter(found)
    gradients = iter(
        [next(remaining) if state.requires_grad else None for state in states],
    )
    by_run = []
    for run in runs:
        steps = [tuple(_or_zero(next(gradients), part) for part in state) for state in run.states]
        by_run.append(tuple(torch.stack(part) for part in zip(*steps, strict=True)))
    return by_run


def _or_zero(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient
