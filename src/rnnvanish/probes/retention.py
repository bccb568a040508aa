"""Retention: how much of the gradient is left, step by step back in time, in a user's unchanged model."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.backward.coordinates import TOO_LARGE, Coordinates
from rnnvanish.backward.each_loop import LoopGradients, gradients_of_loops, resolve_call, watch_either_way
from rnnvanish.backward.episodes import end_at_last_read
from rnnvanish.backward.loss import Loss, preserve_loss
from rnnvanish.backward.masked_states import masked_gradients
from rnnvanish.backward.notes import loop_notes
from rnnvanish.backward.recurrent_path import recurrent_gradient
from rnnvanish.backward.state_gradients import coordinate_gradients
from rnnvanish.numerics.norms import align_ends, gains, joint_norm, row_norms, stable_norm
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.checks import FINDS_IT, NotFinite, Unmeasurable
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run, watch
from rnnvanish.probes.curve import THOUSAND, Curve, average_curves


def retention(
    model: nn.Module,
    inputs: Any,
    loss: Loss = None,
    cells: Cells = (),
    batches: int = 8,
    segment: int | None = None,
    explain: Callable[[Run, Curve], str] | None = None,
) -> dict[str, Curve]:
    """Measure how much of the gradient reaches back in time, in each recurrent layer and direction of `model`.

    The gradient is the total derivative with respect to the whole state (for an LSTM h and c), through every later
    step, from a loss that reads the end of the sequence. The run that is measured is compared with the ordinary one,
    and `model` is left as it was. Where single precision cannot hold the numbers, they are measured in double. Loops of
    64 steps and more run compiled where they can, which takes seconds the first time on a machine.

    Args:
        model: Any module that holds `torch.nn.RNN`, `LSTM`, `GRU` or `Recurrent` layers, or calls `torch.nn.RNNCell`,
            `LSTMCell`, `GRUCell` or a step of its own in a loop.
        inputs: What `model` takes: a tensor, a `PackedSequence`, a tuple for several arguments, a mapping for keyword
            arguments; or a batch as a loader gives it, a list, a mapping or one in the other, that may hold more than it
            takes, such as (inputs, targets); or a loader of these. Where it is not plain what is meant, what runs is.
        loss: What the gradient starts from: takes what `model` returns, and the batch where it needs a second argument, or
            what the model is not given of it where that is called `target`, as in `nn.CrossEntropyLoss()`, and gives a
            scalar; or the name of a method that takes the batch, such as Lightning's "training_step". Of a
            loss that reads several steps of what the model returns the gradient starts at one of them alone: of a forward
            direction the last that it reads of each sequence, of a backward direction the first. By default the loss is,
            of a bare recurrent module, the final states of its top layer, summed; of another what it returns, summed.
        cells: Modules that are one step of a loop which the model itself writes, (x, state) -> state or (output, state):
            classes, instances, or names of modules. `torch.nn.RNNCell`, `LSTMCell` and `GRUCell` need not be named.
        batches: How many batches of a DataLoader are measured.
        segment: For models that do not fit: steps of a loop between which nothing but states is kept. What lies between
            is computed again, segment by segment; the square root of the length needs the least memory.
        explain: Says of each loop, while its run is there, why its curve is as it is: the `cause` of the curve.

    Returns:
        A curve for each layer and direction, named like "encoder.lstm/layer0/forward"; of a step that the model calls
        by itself, named by the step alone. Where a layer or step is called again with the state that it returned, the
        loop goes on; with another, or a detached one, a loop of its own begins: "encoder.lstm (call 2)/...".

    Raises:
        ValueError: Where there is nothing to measure: no recurrent layer, or a loss that does not depend on it.
        RuntimeError: Where the watched run is not the run that the model would have had.

    Examples:
        >>> curves = retention(nn.LSTM(1, 32), torch.zeros(50, 4, 1))
        >>> curves["LSTM/layer0/forward"].verdict
        'vanishing'
    """
    return retention_of(model, sample_batches(model, inputs, batches, loss), loss, cells, segment, explain)


def retention_of(
    model: nn.Module,
    calls: Iterable[Call],
    loss: Loss = None,
    cells: Cells = (),
    segment: int | None = None,
    explain: Callable[[Run, Curve], str] | None = None,
    **options: Any,
) -> dict[str, Curve]:
    """Measure what `retention` measures, of batches that have been drawn; options are those of `watch`."""
    found = []
    with torch.enable_grad(), preserve_loss(loss):
        for each in calls:
            call = resolve_call(model, each, loss)
            curves = partial(_curves, model, call, loss, explain)
            if explain is None:
                found.append(watch_either_way(model, call, curves, curves_resolved, cells, segment, **options))
            else:
                found.append(watch(model, call, curves, curves_resolved, cells, segment))
    return average_curves(found)


def curves_resolved(curves: Mapping[str, Curve]) -> bool:
    """Whether every gain could be told from zero, and from infinity, in the precision of this run."""
    every = (part for curve in curves.values() for part in (curve.gain, *curve.parts.values()))
    return not any(bool((part.isnan() | part.isinf()).any()) for part in every)


def _curves(
    model: nn.Module,
    call: Call,
    loss: Loss,
    explain: Callable[[Run, Curve], str] | None,
    output: Any,
    runs: list[Run],
) -> dict[str, Curve]:
    loops, _ = gradients_of_loops(model, call, output, runs, loss)
    curves = {each.run.name: curve_of(each) for each in loops}
    if explain is None:
        return curves
    return {
        each.run.name: replace(curve, cause=explain(each.episodes.run, curve))
        for each, curve in zip(loops, curves.values(), strict=True)
    }


def curve_of(loop: LoopGradients) -> Curve:
    """The curve of one loop, while the graph is there."""
    curve, run = _plain_curve(loop)
    if curve.verdict == "exploding" and not run.altered:
        alone = _curve(run, list(map(row_norms, _loop_gradient(run, loop.total))))
        fed = not bool(alone.gain[-1] > THOUSAND)
        curve = replace(curve, fed=fed, alone=alone if fed and loop.below else None)
    overflows = bool(curve.gain.isinf().any())
    notes = loop_notes(loop.run, loop.episodes, joint_norm(loop.norms), overflows, None if run is loop.run else run)
    total = None if loop.of_loss is None else _plain_curve(loop.of_loss)[0]
    return replace(curve, notes=notes, total=total, start=loop.says)


def _plain_curve(loop: LoopGradients) -> tuple[Curve, Run]:
    """The curve alone, and the loop as it was measured: not as it ran where the model leads states past its steps."""
    if loop.run.altered and (masked := masked_gradients(loop.run, loop.states.source, loop.states.states)):
        run, gradients = masked
        series = tuple(map(torch.stack, zip(*gradients, strict=True)))
        sizes = list(map(row_norms, coordinate_gradients(run, series)))
        (run,) = end_at_last_read([run], [joint_norm(sizes)])
        return _curve(run, sizes), run
    return _curve(loop.run, loop.norms), loop.run


def _loop_gradient(run: Run, total: Series) -> Series:
    """The gradient by each sequence's last state, of length one, taken back through the loop alone."""
    end = tuple(part[run.ends, torch.arange(len(run.ends), device=run.ends.device)] for part in total)
    length = stable_norm(torch.cat(end, dim=-1), dim=-1)[:, None]
    return recurrent_gradient(run, tuple(part / torch.where(length > 0, length, 1.0) for part in end))


def _curve(run: Run, sizes: list[Tensor]) -> Curve:
    """The curve of one loop from the norms of the gradients by its states."""
    aligned = [align_ends(part, run.ends) for part in sizes]
    coordinates = Coordinates.of(run)
    dtype = coordinates.memory(run.states[-1])[0].dtype.to_real()
    if dtype == torch.float64 and any(bool(part[0].isinf().any()) for part in aligned):
        if coordinates.scaled:
            raise Unmeasurable(TOO_LARGE.format(run.name, "float64"))
        raise NotFinite(
            f"The gradient of the loss is nan or infinite at the end of {run.name} already: look between it and the loss "
            f"for what has no derivative, such as a square root, a norm or a logarithm at zero. {FINDS_IT}"
        )
    begun = (joint_norm(aligned)[0] > 0).to(run.ends.device)
    steps = int(run.ends[begun].max()) + 1 if begun.any() else len(run.states)
    gain, *parts = (part[:steps] for part in gains(aligned, dtype))
    return Curve(torch.arange(len(gain)), gain, dict(zip(coordinates.names, parts, strict=True)))
