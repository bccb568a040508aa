"""From a measure of one loop to a measure of a model: run, loss, gradients, measure.

In this order:

1. `resolve_call` makes of the user's inputs a `Call` (`observe.call`);
2. `watch` runs the model and records its loops, each as a `Run` (`observe.watch`, `unroll`, `record`);
3. `find_end_points` gives the one step of what came out that the gradient of each loop starts from (`end_point`, `output_steps`);
4. `state_gradients` differentiates by every state;
5. `gradients_of_loops` counts each sequence from where it begins anew to where it is read last (`episodes`);
6. the measure takes one loop's `Run` and its gradients; one that is made of every step goes by `measure_loop` and `replay`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rnnvanish.backward.end_point import EndPoints, find_end_points
from rnnvanish.backward.episodes import Episodes, end_at_last_read
from rnnvanish.backward.loss import Loss, preserve_loss
from rnnvanish.backward.recurrent_path import journey_gradient
from rnnvanish.backward.state_gradients import (
    Source,
    StateGradients,
    coordinate_gradients,
    missing_gradient,
    state_gradients,
)
from rnnvanish.numerics.norms import joint_norm, row_norms
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.checks import Unmeasurable
from rnnvanish.observe.compiled_loops import backward_from_end, clear_gradients
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run, watch

Found = TypeVar("Found")

FROM_STATE = (
    "No output shows where the loss reads: the gradient starts from the last state that it reads, and goes back by {}."
)
#: What of a model lies between the states of a loop: of one call nothing, else perhaps an input that is made of a state.
ALONE, EVERY_WAY = "the recurrence alone", "every way that leads to that state"


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
        loops, _ = gradients_of_loops(model, call, output, runs, loss)
        return {each.run.name: measure(each.run, each.total) for each in loops}

    with torch.enable_grad(), preserve_loss(loss):
        return watch_either_way(model, call, of_all, lambda found: all(map(resolved, found.values())), cells)


@dataclass(frozen=True, eq=False)
class LoopGradients:
    """A loop whose gradients are known: those that start from its end point.

    Attributes:
        run: The loop, with episodes for sequences, each of which ends at the last state that is read.
        episodes: The loop as it ran.
        total: The gradient by every state, through every path, (time, sequences, size) for each part; of complex numbers Re
            beside Im.
        norms: The norms of these, (time, sequences).
        states: The gradients as the loop ran.
        says: What was differentiated, where that is not plain.
        of_loss: The same of the whole loss, where the user's loss reads more than the end point; else None.
        below: Whether another layer of the same module stands above.
    """

    run: Run
    episodes: Episodes
    total: Series
    norms: list[Tensor]
    states: StateGradients
    says: str = ""
    of_loss: "LoopGradients | None" = None
    below: bool = False


def gradients_of_loops(
    model: nn.Module, call: Call, output: Any, runs: list[Run], loss: Loss, whole: bool = True
) -> tuple[list[LoopGradients], Tensor]:
    """Take the gradient from the end point of each loop back to every one of its states; returns them, and the loss.

    Args:
        model: What ran.
        call: How it was called.
        output: What it returned.
        runs: Its loops.
        loss: What the user differentiates.
        whole: Whether to take the gradient of the whole loss besides, where that reads more.

    Raises:
        ValueError: Where no loop has a gradient: says why; of a loss that gives no number.
    """
    points = find_end_points(model, call, output, runs, loss)
    own = _from_end_points(runs, points)
    left = [each is None for each in own]
    every = state_gradients(runs, points.whole) if any(left) or (whole and any(points.reads_more)) else None
    if not any(each is not None and each.reached for each in [*own, *(every or ())]):
        raise Unmeasurable(missing_gradient(model, runs, points.whole.outputs[0]))
    of_loss = None if every is None else _counted_from_ends(runs, every)
    loops = _counted_from_ends(runs, [each or every[index] for index, each in enumerate(own)])  # type: ignore[index]
    found = []
    for index, loop in enumerate(loops):
        loop = replace(loop, says=points.says[index])
        if left[index]:
            loop = _from_last_state(loop)
        if of_loss is not None and (loop.says if left[index] else points.reads_more[index]):
            loop = replace(loop, of_loss=of_loss[index])
        found.append(loop)
    return found, points.whole.outputs[0]


def _from_end_points(runs: list[Run], points: EndPoints) -> list[StateGradients | None]:
    """The gradients by the states of each loop, from the first of its places from which any comes; None where none does."""
    found: list[StateGradients | None] = [None] * len(runs)
    for rank in range(len(points.sources)):
        wanted = [i for i, own in enumerate(found) if own is None and rank < len(points.of_run[i])]
        for place in dict.fromkeys(points.of_run[index][rank] for index in wanted):
            those = [index for index in wanted if points.of_run[index][rank] == place]
            for index, each in zip(those, _of_some(runs, those, points.sources[place]), strict=True):
                found[index] = each if each.arrives else None
    return found


def _of_some(runs: list[Run], those: list[int], source: Source) -> list[StateGradients]:
    clear_gradients(runs)
    return state_gradients([runs[index] for index in those], source)


def _counted_from_ends(runs: list[Run], every: list[StateGradients]) -> list[LoopGradients]:
    """Each sequence from where it begins anew to where it is not read any more."""
    episodes = list(map(Episodes.of, runs))
    norms = [list(map(each.split, own.sizes)) for each, own in zip(episodes, every, strict=True)]
    ending = end_at_last_read([each.as_run() for each in episodes], list(map(joint_norm, norms)))
    totals = [tuple(map(each.split, own.rows)) for each, own in zip(episodes, every, strict=True)]
    tops = {layer_of(run)[0]: layer_of(run)[1] for run in runs}
    below = [layer_of(run)[1] < tops[layer_of(run)[0]] for run in runs]
    found = [LoopGradients(*each) for each in zip(ending, episodes, totals, norms, every, strict=True)]
    return [replace(loop, below=lower) for loop, lower in zip(found, below, strict=True)]


def _from_last_state(loop: LoopGradients) -> LoopGradients:
    """The gradient by each episode's last state that is read, carried back without what the loss reads of other steps.

    Of a layer that is called once that is the recurrence alone. Between two calls there may be more of the model, such as an
    input that is made of the state before: the graph of the run is followed.
    """
    run, own = loop.run, loop.states.total
    if run.altered or not loop.states.arrives:
        return loop
    if run.compiled_calls:
        rows = torch.arange(len(run.ends), device=run.ends.device)
        carried = backward_from_end(run, tuple(part[run.ends, rows] for part in own))
    else:
        carried = journey_gradient(loop.episodes.run, own, loop.episodes.mask_at(run.ends))
    total = tuple(map(loop.episodes.split, coordinate_gradients(loop.episodes.run, carried)))
    says = FROM_STATE.format(ALONE if len(run.starts) == 1 else EVERY_WAY)
    return replace(loop, total=total, norms=list(map(row_norms, total)), says=says)


def layer_of(run: Run) -> tuple[str, int]:
    """The module of a loop, its call included, and which of its layers it is, counted from below."""
    module, _, layer = run.name.partition("/layer")
    return module, int(layer.partition("/")[0]) if layer else 0


def total_gradients(model: nn.Module, runs: list[Run], value: Tensor) -> list[Series]:
    """The derivative of a loss with respect to every state of each loop, through all later steps; zero where none."""
    return [each.rows for each in state_gradients(runs, Source([value], [None]))]


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
