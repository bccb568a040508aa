"""Running a user's model with every recurrent loop in plain sight, and leaving no trace.

`torch.nn.RNN`, `LSTM` and `GRU` hide their states: on most devices a whole layer is one node of autograd's graph. While
a model is watched, each of its recurrent modules runs as a plain loop over its own live weights instead, and every
state on the way is a tensor of the graph. For a measure that asks for gradients alone a long loop runs compiled, and hands
them out: see `handed`. A step that the model calls by itself runs as it is; the states that it reads
and returns are noted. Nothing else of the model is replaced.
"""

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_leaves

from rnnvanish.live import Cells, has_own_forward, recurrent_modules, step_modules
from rnnvanish.probes import complaints, handed, loops, steps
from rnnvanish.probes.below import active, below
from rnnvanish.probes.book import Book, Run
from rnnvanish.probes.calling import Call
from rnnvanish.probes.norms import real
from rnnvanish.probes.pattern import Pattern
from rnnvanish.probes.untouched import borrowed, cast_to, materialised
from rnnvanish.recurrent import Recurrent

__all__ = ["Cells", "Run", "watch"]

Measured = TypeVar("Measured")


def watch(
    model: nn.Module,
    inputs: Any,
    measure: Callable[[Any, list[Run]], Measured],
    resolved: Callable[[Measured], bool] = lambda measured: True,
    cells: Cells = (),
    segment: int | None = None,
    compiled: bool = False,
) -> Measured:
    """Run `model` with its loops in sight and measure; then make sure that this was the model's ordinary run.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes, in any form that `Call.of` knows.
        measure: Takes what the model returned and its loops, in the order in which they began.
        resolved: Whether the model's own precision held what was measured; if not, it is measured again in double.
            So it is where the two runs differ (a chaotic network magnifies rounding), and where a state has less than
            single precision.
        cells: Modules that are one step of a loop which the model itself writes.
        segment: Steps of a layer's loop between which nothing but states is kept; a named step is kept one by one.
        compiled: Whether loops may run compiled, for a measure that asks for gradients alone: see `handed`.

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
        stack.enter_context(materialised(model, call, *call.held))
        call = call.map(lambda value: value.clone() if value.is_inference() else value)
        measured, same, precise, ordinary = _measure(model, call, measure, cells, segment, compiled)
        if same and precise and resolved(measured):
            return measured
        try:
            again = partial(_measure, model, call, measure, cells, segment, compiled, torch.float64)
            in_double, same_in_double, _, _ = again(ordinary if same else None)
            if same and not same_in_double:  # rounding alone can part a run in single precision from one in double
                in_double, same_in_double, _, _ = again()
        except complaints.Unmeasurable:
            raise
        except Exception as error:  # it ran a moment ago: something in it insists on its own precision
            if not same:
                raise RuntimeError(complaints.differs(model, call)) from error
            return measured
    if not same_in_double:
        raise RuntimeError(complaints.differs(model, call))
    return in_double


def _measure(
    model: nn.Module,
    call: Call,
    measure: Callable[[Any, list[Run]], Measured],
    cells: Cells,
    segment: int | None,
    compiled: bool,
    dtype: torch.dtype | None = None,
    known: list[Tensor] | None = None,
) -> tuple[Measured, bool, bool, list[Tensor]]:
    """Measure, and hold the run that was watched against the ordinary one.

    Args:
        known: What the ordinary run returned in the model's own precision, where the watched run did, too.

    Returns:
        What was measured, whether the run is the ordinary one, whether all states had single precision, and what the
        ordinary run returned.
    """
    layers, own = recurrent_modules(model), step_modules(model, cells)
    complaints.check(model, call, layers, own)
    call = call.map(lambda value: cast_to(value, dtype))
    engines = {name: module.engine for name, module in layers.items() if compiled and isinstance(module, Recurrent)}
    # Of a layer that stands alone and runs compiled anyway, the watched run is the ordinary one.
    alone = compiled and type(model) is Recurrent and "forward" not in vars(model)
    patterns: dict[str, Pattern] = {}
    if (known is None and not alone) or own:
        known, patterns = _ordinary(model, call, layers, own, segment, engines, dtype)
    book, way = Book(), handed.compiled if alone else handed.where_worth_it if compiled else handed.stepped
    deeper = below(layers, book, segment, way)
    with borrowed(model, dtype, *call.held), parametrize.cached():
        for name, module in layers.items():
            stand_in = partial(loops.forward, module, name, book, segment, way)
            if deeper is not None and isinstance(module, nn.RNNBase) and has_own_forward(module):
                module.__dict__["forward"] = deeper.around(module, name)
            else:
                module.__dict__["stand_in" if has_own_forward(module) else "forward"] = stand_in
            if isinstance(module, Recurrent) and name in engines:
                module.engine = engines[name]
        for name, module in own.items():
            module.__dict__["forward"] = partial(
                steps.forward, module, module.forward, patterns[name], book, segment is not None
            )
        with active(deeper):
            output = call(model)
        found = numbers(output)
        if known is None:
            complaints.check_finite(model, call, found)
        with book.closed():
            runs = book.runs()
            complaints.check_seen({} if deeper is None else deeper.unseen, runs)
            complaints.check_runs(model, runs, [*layers, *own])
            with complaints.in_place(model):
                measured = measure(output, runs)
    precise = all(part.dtype.to_real() in (torch.float32, torch.float64) for run in runs for part in run.states[-1])
    return measured, known is None or agree(found, known), precise, found if known is None else known


def _ordinary(
    model: nn.Module,
    call: Call,
    layers: dict[str, nn.Module],
    own: dict[str, nn.Module],
    segment: int | None,
    engines: dict[str, str],
    dtype: torch.dtype | None,
) -> tuple[list[Tensor], dict[str, Pattern]]:
    """Run the model as it is: what it returns, and how it calls its own steps."""
    with borrowed(model, dtype, *call.held):
        beside: list[Pattern] = []
        for name, module in own.items():
            beside.append(Pattern(name, module, beside))
        patterns = {pattern.name: pattern for pattern in beside}
        for name, module in own.items():
            forward = partial(complaints.checked, module.forward, name, module)
            module.__dict__["forward"] = partial(patterns[name].learn, forward)
        for name, module in layers.items():
            forward = partial(module.forward)
            if isinstance(module, Recurrent) and name in engines:
                forward = partial(handed.by_its_engine, engines[name], module.forward, module)
            module.__dict__["forward"] = partial(complaints.checked, forward, name, module)
        with nullcontext() if segment is None else torch.no_grad():  # a graph of its own would take the memory
            ordinary = [number.clone() for number in numbers(call(model))]  # it may return what is put back
        for pattern in patterns.values():
            pattern.check()
    complaints.check_finite(model, call, ordinary)
    return ordinary, patterns


def numbers(output: Any) -> list[Tensor]:
    """The numbers that a model returned."""
    leaves = tree_leaves(output, is_leaf=lambda value: isinstance(value, PackedSequence))
    tensors = [leaf.data if isinstance(leaf, PackedSequence) else leaf for leaf in leaves]
    found = [leaf.detach() for leaf in tensors if isinstance(leaf, Tensor)]
    return [real(leaf) for leaf in found if leaf.is_floating_point() or leaf.is_complex()]


def agree(watched: list[Tensor], ordinary: list[Tensor]) -> bool:
    """Whether two runs differ by rounding at most, relative to the largest number of each output."""
    return len(watched) == len(ordinary) and all(
        ours.shape == theirs.shape and _close(ours, theirs) for ours, theirs in zip(watched, ordinary, strict=True)
    )


def _close(ours: Tensor, theirs: Tensor) -> bool:
    """By the coarser of their formats: under autocast a loop may keep more digits than a whole layer."""
    if not ours.numel():
        return True
    coarser = max(ours.dtype, theirs.dtype, key=lambda dtype: torch.finfo(dtype).eps)
    relative = {torch.float64: 1e-9, torch.float32: 1e-4}.get(coarser, 3e-2)
    tolerance = relative * float(theirs.abs().max()) + torch.finfo(coarser).eps
    return float((ours - theirs).abs().max()) <= tolerance
