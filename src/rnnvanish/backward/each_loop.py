"""From a measure of one loop to a measure of a model: the total gradient of every state of every loop, handed to the measure.

Most measures go this way: `each_loop` has `observe.watch` run the model, `loss.evaluate_loss` gives the number that the
gradient starts from, `total_gradients` differentiates it by every state, `Episodes` and `end_at_last_read` say where each
sequence begins and ends, and the measure takes one loop's `Run` and its gradients.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rnnvanish.backward.differentiate import differentiate
from rnnvanish.backward.episodes import Episodes
from rnnvanish.backward.last_read_step import end_at_last_read
from rnnvanish.backward.loss import Loss, evaluate_loss
from rnnvanish.backward.replay import Series, stack_steps
from rnnvanish.numerics.norms import joint_norm, row_norms
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.observe.watch import Cells, Run, watch

__all__ = ["Loss", "each_loop", "resolve_call", "total_gradients"]

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
    call = resolve_call(model, inputs, loss)

    def of_all(output: Any, runs: list[Run]) -> dict[str, Found]:
        every = total_gradients(model, runs, evaluate_loss(model, call, output, runs, loss))
        episodes = list(map(Episodes.of, runs))
        found = [tuple(map(each.split, parts)) for each, parts in zip(episodes, every, strict=True)]
        ending = end_at_last_read(
            [each.as_run() for each in episodes], [joint_norm(list(map(row_norms, parts))) for parts in found]
        )
        return {run.name: measure(run, gradients) for run, gradients in zip(ending, found, strict=True)}

    with torch.enable_grad(), preserve(loss):
        return watch(model, call, of_all, lambda found: all(map(resolved, found.values())), cells)


def resolve_call(model: nn.Module, inputs: Any, loss: Loss) -> Call:
    """The call of `model` that is measured; of a DataLoader its first batch."""
    if isinstance(inputs, Call) and inputs.method != "forward":
        return inputs
    (batch,) = sample_batches(model, inputs, 1)
    return Call.of_method(model, loss, batch) if isinstance(loss, str) else Call.of(model, batch)


def total_gradients(model: nn.Module, runs: list[Run], value: Tensor) -> list[Series]:
    """The derivative of a loss with respect to every state of each loop, through all later steps; zero where none."""
    found = iter(differentiate(model, runs, value, [state for run in runs for state in run.states], keep=True))
    return [stack_steps(run, [next(found) for _ in run.states]) for run in runs]
