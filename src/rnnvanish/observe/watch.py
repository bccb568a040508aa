"""Running a user's model with every recurrent loop recorded, and leaving the model as it was.

`torch.nn.RNN`, `LSTM` and `GRU` hide their states: on most devices a whole layer is one node of autograd's graph. While
a model is watched, each of its recurrent modules runs as a plain loop over its own live weights instead (`unroll`), and
every state on the way is a tensor of the graph. For a measure that asks for gradients alone a long loop runs compiled
(`compiled_loops`). A step that the model calls by itself runs as it is, and the states that it reads and returns are
recorded (`cell_loops.hook`). Nothing else of the model is replaced. What was recorded is a list of `record.Run`.
"""

from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rnnvanish.live import Cells, has_own_forward, recurrent_modules, step_modules
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe import checks, compiled_loops, unroll
from rnnvanish.observe.agreement import agree, numeric_tensors
from rnnvanish.observe.call import Call
from rnnvanish.observe.cell_loops import hook
from rnnvanish.observe.cell_loops.call_pattern import CallPattern
from rnnvanish.observe.overridden import activated, operation_mode
from rnnvanish.observe.record import Recorder, Run
from rnnvanish.observe.restore.borrow import borrow, materialise, snapshot_of, to_precision
from rnnvanish.observe.restore.snapshot import Snapshot
from rnnvanish.recurrent import Recurrent

__all__ = ["Cells", "Run", "watch"]

Measured = TypeVar("Measured")


class _UnderAutocast(Exception):
    """Loops ran under torch.autocast: what is measured in double precision is not rounded by it, and steps can be repeated."""


def watch(
    model: nn.Module,
    inputs: Any,
    measure: Callable[[Any, list[Run]], Measured],
    resolved: Callable[[Measured], bool] = lambda measured: True,
    cells: Cells = (),
    segment: int | None = None,
    compiled: bool = False,
    then: Callable[[Measured], Callable[[Any, list[Run]], Measured] | None] = lambda measured: None,
    held: bool = True,
    in_double: bool = False,
) -> Measured:
    """Run `model` with its loops recorded and measure; then make sure that this was the model's ordinary run.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes, in any form that `Call.of` knows.
        measure: Takes what the model returned and its loops, in the order in which they began.
        resolved: Whether the model's own precision held what was measured; if not, it is measured again in double.
            So it is where the two runs differ (a chaotic network magnifies rounding), where a state has less than single
            precision, and at once under torch.autocast.
        cells: Modules that are one step of a loop which the model itself writes.
        segment: Steps of a layer's loop between which nothing but states is kept; a named step is kept one by one.
        compiled: Whether loops may run compiled, for a measure that asks for gradients and the numbers of states alone: see
            `compiled_loops`.
        then: Of what was measured in the model's own precision: what measures the rest in double; None for nothing.
        held: Whether the run is held against the ordinary one; not that of a copy of a model of which it was.
        in_double: Whether to measure in double precision at once, where it can run so.

    Raises:
        ValueError: Where there is nothing to measure: says what is there, and what to do.
        RuntimeError: Where the watched run is not the ordinary one.
    """
    if segment is not None and segment < 1:
        raise ValueError(f"A segment has at least one step, got segment={segment}.")
    call = Call.of(model, inputs)
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(materialise(model, call, *call.contents))
        call = call.map(lambda value: value.clone() if value.is_inference() else value)
        snapshot = snapshot_of(model, *call.contents)
        measure_run: Callable[..., tuple[Measured, bool, bool, list[Tensor]]] = partial(
            _measure, model, call, snapshot, cells=cells, segment=segment, compiled=compiled, held=held
        )
        first = None
        if not in_double:
            with suppress(_UnderAutocast):
                first = measure_run(measure, rounded=False)
        if first is None:
            with suppress(Exception):  # in its own precision there are words for whatever this is
                measured, same, *_ = measure_run(measure, dtype=torch.float64)
                if same:
                    return measured
            first = measure_run(measure)
        measured, same, precise, ordinary = first
        done = same and precise and resolved(measured)
        rest = then(measured) if done else measure
        if rest is None:
            return measured
        try:
            remeasure = partial(measure_run, rest, dtype=torch.float64)
            again, same_in_double, _, _ = remeasure(known=ordinary if same else None)
            if same and not same_in_double:  # rounding alone can part a run in single precision from one in double
                again, same_in_double, _, _ = remeasure()
        except Exception as error:  # it ran a moment ago: something in it insists on its own precision
            if isinstance(error, checks.Unmeasurable) and not done:
                raise
            if not same:
                raise RuntimeError(checks.describe_difference(model, call)) from error
            return measured
    if done and not same_in_double:
        return measured
    if not same_in_double:
        raise RuntimeError(checks.describe_difference(model, call))
    return again


def _measure(
    model: nn.Module,
    call: Call,
    snapshot: Snapshot,
    measure: Callable[[Any, list[Run]], Measured],
    cells: Cells,
    segment: int | None,
    compiled: bool,
    held: bool,
    dtype: torch.dtype | None = None,
    known: list[Tensor] | None = None,
    rounded: bool = True,
) -> tuple[Measured, bool, bool, list[Tensor]]:
    """Measure, and hold the run that was watched against the ordinary one.

    Args:
        snapshot: What the model and the batch hold: put back after every run.
        known: What the ordinary run returned in the model's own precision, where the watched run did, too.
        rounded: Whether to measure what ran under torch.autocast in single precision.

    Returns:
        What was measured, whether the run is the ordinary one, whether all states had single precision, and what the
        ordinary run returned.
    """
    layers, own = recurrent_modules(model), step_modules(model, cells)
    formats = {id(module): _format(module) for module in (*layers.values(), *own.values())}
    if held:
        checks.check_model(model, call, layers, own)
    call = call.map(lambda value: to_precision(value, dtype))
    engines = {name: module.engine for name, module in layers.items() if compiled and isinstance(module, Recurrent)}
    # Of a layer that stands alone and runs compiled anyway, the watched run is the ordinary one.
    alone = compiled and type(model) is Recurrent and "forward" not in vars(model)
    patterns = _call_patterns(own)
    to_learn = not all(pattern.plain for pattern in patterns.values())
    if (known is None and held and not alone) or to_learn:
        known = _run_unwatched(model, call, snapshot, layers, patterns, segment, engines, dtype)
    recorder = Recorder()
    run_compiled: unroll.RunCompiled = compiled_loops.run_step_by_step
    if compiled:
        run_compiled = compiled_loops.run_compiled if alone else compiled_loops.run_compiled_if_long
    operations = operation_mode(layers, recorder, segment, run_compiled)
    with borrow(model, dtype, snapshot=snapshot):
        for name, module in layers.items():
            unrolled_forward = partial(unroll.unrolled_forward, module, name, recorder, segment, run_compiled)
            if operations is not None and isinstance(module, nn.RNNBase) and has_own_forward(module):
                module.__dict__["forward"] = operations.wrap(module, name)
            else:
                module.__dict__["unrolled_forward" if has_own_forward(module) else "forward"] = unrolled_forward
            if isinstance(module, Recurrent) and name in engines:
                module.engine = engines[name]
        for name, module in own.items():
            module.__dict__["forward"] = partial(
                hook.recorded_step, module, module.forward, patterns[name], recorder, segment is not None
            )
        with activated(operations):
            output = call(model)
        found = numeric_tensors(output)
        if known is None:
            checks.check_finite(model, call, found)
        with recorder.paused():
            if recorder.autocast and not rounded:
                raise _UnderAutocast
            runs = [
                replace(run, weight_dtype=formats.get(id(run.module)), autocast=recorder.autocast)
                for run in recorder.runs()
            ]
            checks.check_unseen({} if operations is None else operations.unseen, runs)
            checks.check_runs(model, runs, [*layers, *own])
            with checks.explain_in_place(model):
                measured = measure(output, runs)
    numbers = [p for run in runs for p in run.states[-1] if is_number(p)]
    precise = all(part.dtype.to_real() in (torch.float32, torch.float64) for part in numbers)
    same = known is None or agree(found, known, recorder.autocast)
    return measured, same, precise, found if known is None else known


def _call_patterns(own: dict[str, nn.Module]) -> dict[str, CallPattern]:
    """How the model calls its own steps, still to be learned of those that are not torch's."""
    beside: list[CallPattern] = []
    for name, module in own.items():
        beside.append(CallPattern(name, module, beside))
    return {pattern.name: pattern for pattern in beside}


def _format(module: nn.Module) -> torch.dtype:
    return next(
        (weight.dtype for weight in module.parameters() if weight.is_floating_point()), torch.get_default_dtype()
    )


def _run_unwatched(
    model: nn.Module,
    call: Call,
    snapshot: Snapshot,
    layers: dict[str, nn.Module],
    patterns: dict[str, CallPattern],
    segment: int | None,
    engines: dict[str, str],
    dtype: torch.dtype | None,
) -> list[Tensor]:
    """Run the model as it is: what it returns; `patterns` learn how it calls its own steps."""
    with borrow(model, dtype, snapshot=snapshot):
        for name, pattern in patterns.items():
            forward = partial(checks.checked_forward, pattern.module.forward, name, pattern.module)
            pattern.module.__dict__["forward"] = partial(pattern.learn, forward)
        for name, module in layers.items():
            forward = partial(module.forward)
            if isinstance(module, Recurrent) and name in engines:
                forward = partial(compiled_loops.forward_by_engine, engines[name], module.forward, module)
            module.__dict__["forward"] = partial(checks.checked_forward, forward, name, module)
        with nullcontext() if segment is None else torch.no_grad():  # a graph of its own would take the memory
            ordinary = [number.clone() for number in numeric_tensors(call(model))]  # it may return what is put back
    checks.check_steps(model, call, patterns.values())
    checks.check_finite(model, call, ordinary)
    return ordinary
