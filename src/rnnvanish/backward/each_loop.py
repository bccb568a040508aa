"""The total gradient of every state of a model, and how measures of one loop become measures of a model."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rnnvanish.backward.differentiate import gradients
from rnnvanish.backward.episodes import Episodes
from rnnvanish.backward.last_read_step import read
from rnnvanish.backward.loss import Loss, loss_of
from rnnvanish.backward.replay import Series, stacked
from rnnvanish.numerics.norms import size, together
from rnnvanish.observe.call import Call, sampled
from rnnvanish.observe.restore.borrow import unchanged
from rnnvanish.observe.watch import Cells, Run, watch

__all__ = ["Loss", "called", "each_loop", "totals"]

Found = TypeVar("Found")


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
        inputs: What it takes, as for `probes.retention`; of a DataLoader the first batch.
        loss: What the gradient starts from, as for `probes.retention`.
        measure: Takes a loop and its total gradients, a tensor (time, sequences, size) for each part of the state.
        resolved: Whether the model's own precision held what was measured; if not, it is measured again in double.
        cells: Modules that are one step of a loop which the model itself writes.

    Raises:
        ValueError, RuntimeError: Those of `probes.retention`.
    """
    call = called(model, inputs, loss)

    def of_all(output: Any, runs: list[Run]) -> dict[str, Found]:
        every = totals(model, runs, loss_of(model, call, output, runs, loss))
        episodes = list(map(Episodes.of, runs))
        found = [tuple(map(each.apart, parts)) for each, parts in zip(episodes, every, strict=True)]
        ending = read([each.alone() for each in episodes], [together(list(map(size, parts))) for parts in found])
        return {run.name: measure(run, gradients) for run, gradients in zip(ending, found, strict=True)}

    with torch.enable_grad(), unchanged(loss):
        return watch(model, call, of_all, lambda found: all(map(resolved, found.values())), cells)


def called(model: nn.Module, inputs: Any, loss: Loss) -> Call:
    """The call of `model` that is measured; of a DataLoader its first batch."""
    if isinstance(inputs, Call) and inputs.method != "forward":
        return inputs
    (batch,) = sampled(model, inputs, 1)
    return Call.of_method(model, loss, batch) if isinstance(loss, str) else Call.of(model, batch)


def totals(model: nn.Module, runs: list[Run], value: Tensor) -> list[Series]:
    """The derivative of a loss with respect to every state of each loop, through all later steps; zero where none."""
    found = iter(gradients(model, runs, value, [state for run in runs for state in run.states], keep=True))
    return [stacked(run, [next(found) for _ in run.states]) for run in runs]
