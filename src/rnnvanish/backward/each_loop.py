"""From a measure of one loop to a measure of a model: the total gradient of every state of every loop, handed to the measure.

Most measures go this way: `each_loop` has `observe.watch` run the model, `loss.evaluate_loss` gives the number that the
gradient starts from, `loop_gradients` differentiates it by every state, `Episodes` and `end_at_last_read` say where each
sequence begins and ends, and the measure takes one loop's `Run` and its gradients.

A measure that needs every step is a generator: it is sent `ReplayedSteps`, some steps at a time, then None, and returns its
result. So each stays a function of its own, and `measure_loop` replays the steps once for all of them, never all at once.
"""

from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from rnnvanish.backward.episodes import Episodes
from rnnvanish.backward.last_read_step import end_at_last_read
from rnnvanish.backward.loss import Loss, evaluate_loss
from rnnvanish.backward.replay import ReplayedSteps, Series, replay_all
from rnnvanish.backward.state_gradients import StateGradients, state_gradients
from rnnvanish.numerics.norms import joint_norm
from rnnvanish.numerics.real_view import pack
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.observe.watch import Cells, Run, watch

__all__ = ["LoopMeasure", "Loss", "Pass", "alone", "each_loop", "measure_loop", "resolve_call", "total_gradients"]

Found = TypeVar("Found")

#: A measure under way: `while (steps := (yield)) is not None: ...`.
Pass = Generator[None, ReplayedSteps | None, Found]

#: A measure of one loop, given the total gradient of every state; made at once, or of every step.
LoopMeasure = Callable[[Run, Series], Found | Pass[Found]]


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

    with torch.enable_grad(), preserve(loss):
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


def loop_gradients(model: nn.Module, runs: list[Run], value: Tensor, split: bool = False) -> list[LoopGradients]:
    """Take the gradient of a loss back to every state of every loop; arguments and errors are those of `state_gradients`."""
    every = state_gradients(model, runs, value, split)
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
    then: Callable[[Found], Callable[[Any, list[Run]], Found] | None] = lambda found: None,
) -> Found:
    """Watch a model whose long loops run compiled; where anything is unusual, step by step."""
    measured = partial(watch, model, call, measure, resolved, cells, segment, then=then)
    if segment is not None:
        return measured()
    try:
        return measured(compiled=True)
    except Exception:  # noqa: BLE001  # step by step there are words for whatever this is, or even numbers
        return measured()


def resolve_call(model: nn.Module, inputs: Any, loss: Loss) -> Call:
    """The call of `model` that is measured; of a DataLoader its first batch."""
    if isinstance(inputs, Call) and inputs.method != "forward":
        return inputs
    (batch,) = sample_batches(model, inputs, 1)
    return Call.of_method(model, loss, batch) if isinstance(loss, str) else Call.of(model, batch)


def measure_loop(run: Run, gradients: Series, measures: Mapping[Hashable, LoopMeasure[Any]]) -> dict[Hashable, Any]:
    """Take several measures of one loop.

    Args:
        run: The loop.
        gradients: The total gradient of every state.
        measures: By names.

    Returns:
        What each gave; the ValueError or RuntimeError of one that cannot be taken, which is no reason to withhold the rest.
    """
    found: dict[Hashable, Any] = {}
    under_way: dict[Hashable, Pass[Any]] = {}
    for name, measure in measures.items():
        try:
            found[name] = measure(run, gradients)
        except (ValueError, RuntimeError) as error:
            found[name] = error
        if isinstance(found[name], Generator):
            under_way[name] = found[name]
    _send(None, under_way, found)  # to where it waits for steps
    try:
        for steps in replay_all(run, gradients) if under_way else ():
            _send(steps, under_way, found)
    except (ValueError, RuntimeError) as error:  # a step cannot be replayed: each may say what that means
        _send(error, under_way, found)
    else:
        _send(None, under_way, found)
    return found


def alone(measure: Callable[[Run, Series], Pass[Found]]) -> Callable[[Run, Series], Found]:
    """A measure that is made of every step, taken by itself; errors are those of the measure."""

    def of_loop(run: Run, gradients: Series) -> Found:
        found = measure_loop(run, gradients, {None: measure})[None]
        if isinstance(found, Exception):
            raise found
        return cast(Found, found)

    return of_loop


def _send(
    sent: ReplayedSteps | Exception | None, under_way: dict[Hashable, Pass[Any]], found: dict[Hashable, Any]
) -> None:
    """Send steps, their end or an error to every measure that is under way, and note what those give that end with it."""
    for name, measure in list(under_way.items()):
        try:
            if isinstance(sent, Exception):
                measure.throw(sent)
            else:
                measure.send(sent)
        except StopIteration as end:
            found[name] = end.value
        except (ValueError, RuntimeError) as error:
            found[name] = error
        else:
            continue
        del under_way[name]
