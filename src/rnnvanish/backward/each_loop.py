"""From a measure of one loop to a measure of a model: run, loss, gradients, measure.

In this order:

1. `resolve_call` makes of the user's inputs a `Call` (`observe.call`);
2. `watch` runs the model and records its loops, each as a `Run` (`observe.watch`, `unroll`, `record`);
3. `evaluate_loss` gives the number that the gradient starts from (`loss`);
4. `state_gradients` differentiates it by every state;
5. `loop_gradients` counts each sequence from where it begins anew (`episodes`) to where the loss stops to read (`last_read_step`);
6. the measure takes one loop's `Run` and its gradients; one that is made of every step goes by `measure_loop` and `replay`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rnnvanish.backward.episodes import Episodes
from rnnvanish.backward.last_read_step import end_at_last_read
from rnnvanish.backward.loss import Loss, evaluate_loss, preserve_loss
from rnnvanish.backward.state_gradients import StateGradients, state_gradients
from rnnvanish.numerics.norms import joint_norm
from rnnvanish.numerics.real_view import pack
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run, watch

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
        value = evaluate_loss(model, call, output, runs, loss)
        return {each.run.name: measure(each.run, each.total) for each in loop_gradients(model, runs, value)}

    with torch.enable_grad(), preserve_loss(loss):
        return watch_either_way(model, call, of_all, lambda found: all(map(resolved, found.values())), cells)


@dataclass(frozen=True, eq=False)
class LoopGradients:
    """A loop whose total gradients are known.

    Attributes:
        run: The loop, with episodes for sequences, each of which ends at the last state that the loss reads.
        episodes: The loop as it ran.
        total: The total gradient of every state, (time, sequences, size) for each part; of complex numbers Re beside Im.
        norms: The norms of these, (time, sequences).
        states: The gradients as the loop ran.
    """

    run: Run
    episodes: Episodes
    total: Series
    norms: list[Tensor]
    states: StateGradients


def loop_gradients(
    model: nn.Module, runs: list[Run], value: Tensor, split: bool = False, keep: bool = False
) -> list[LoopGradients]:
    """Take the gradient of a loss back to every state of every loop; arguments and errors are those of `state_gradients`."""
    every = state_gradients(model, runs, value, split, keep)
    episodes = list(map(Episodes.of, runs))
    norms = [list(map(each.split, own.sizes)) for each, own in zip(episodes, every, strict=True)]
    ending = end_at_last_read([each.as_run() for each in episodes], list(map(joint_norm, norms)))
    totals = [tuple(each.split(pack(part)) for part in own.total) for each, own in zip(episodes, every, strict=True)]
    return [LoopGradients(*each) for each in zip(ending, episodes, totals, norms, every, strict=True)]


def total_gradients(model: nn.Module, runs: list[Run], value: Tensor) -> list[Series]:
    """The derivative of a loss with respect to every state of each loop, through all later steps; zero where none."""
    return [tuple(map(pack, each.total)) for each in state_gradients(model, runs, value, split=False)]


def watch_either_way(
    model: nn.Module,
    call: Call,
    measure: Callable[[Any, list[Run]], Found],
    resolved: Callable[[Found], bool],
    cells: Cells,
    segment: int | None = None,
    **options: Any,
) -> Found:
    """Watch a model whose long loops run compiled; where anything is unusual, step by step. Options are those of `watch`."""
    measured: Callable[..., Found] = partial(watch, model, call, measure, resolved, cells, segment, **options)
    if segment is not None:
        return measured()
    try:
        return measured(compiled=True)
    except Exception:  # noqa: BLE001  # step by step there are words for whatever this is, or even numbers
        return measured()


def resolve_call(model: nn.Module, inputs: Any, loss: Loss) -> Call:
    """The call of `model` that is measured; of a DataLoader its first batch."""
    (call,) = sample_batches(model, inputs, 1, loss)
    return Call.of_method(model, loss, call) if isinstance(loss, str) and call.method == "forward" else call
