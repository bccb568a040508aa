"""Loops that run compiled while a model is watched: the engine's backward gives the gradient by every state.

A measure that asks for no more than gradients needs no unrolled loop. Whatever is unusual goes step by step all the same:
a cell that cannot be compiled, states that the model changes on the way, a second derivative.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.cell import Cell, State, has_output
from rnnvanish.engine import run as engine_run
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.reference import Step
from rnnvanish.engine.state_record import StateRecord
from rnnvanish.mitigation import Wrapper
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe.record import CompiledCall, Run, Series
from rnnvanish.recurrent import Recurrent

#: A loop of fewer steps, in the midst of a model, is not worth compiling for a measure.
MIN_STEPS = 64


def run_step_by_step(
    module: nn.Module, step: Step, x: Tensor, state: State, lengths: Tensor | None
) -> CompiledCall | None:
    """Run no loop compiled: it goes step by step."""
    return None


def run_compiled_if_long(
    module: nn.Module, step: Step, x: Tensor, state: State, lengths: Tensor | None
) -> CompiledCall | None:
    """Run a loop compiled if it can be, and is long."""
    try:
        return run_compiled(module, step, x, state, lengths) if len(x) >= MIN_STEPS else None
    except Unsupported:
        return None


def run_compiled(module: nn.Module, step: Step, x: Tensor, state: State, lengths: Tensor | None) -> CompiledCall:
    """Run a loop compiled.

    Raises:
        Unsupported: Where it cannot, or has next to no numbers.
    """
    if not isinstance(step, Cell) or isinstance(step, Wrapper):  # what is added to a state may have no gradient
        raise Unsupported("gradient by a state that is more than a cell's")
    if not torch.is_grad_enabled() or (isinstance(module, Recurrent) and module.engine == "reference"):
        raise Unsupported("gradient to return")
    if len(x) < 2 or len(x) * sum(part.numel() for part in state) < engine_run.SMALLEST:
        raise Unsupported("loop that is worth compiling")
    entry, record = tuple(part.view_as(part) for part in state), StateRecord()
    outputs, final = engine_run.run(step, x, entry, lengths, "auto", record)
    return CompiledCall(entry, outputs, tuple(part.view_as(part) for part in final), record, has_output(step))


def forward_by_engine(engine: str, forward: Callable[..., Any], module: Recurrent, *args: Any, **kwargs: Any) -> Any:
    """Run a borrowed layer by the engine that is its own where its sequences are long; else step by step."""
    x = args[0] if args else kwargs.get("x", kwargs.get("input"))
    if isinstance(x, PackedSequence):
        steps = len(x.batch_sizes)
    else:
        steps = x.shape[x.dim() == 3 and module.batch_first] if isinstance(x, Tensor) and x.dim() else 0
    module.engine = engine if steps >= MIN_STEPS else "reference"
    return forward(*args, **kwargs)


def clear_gradients(runs: Sequence[Run]) -> None:
    """Forget the gradients of the last backward."""
    for run in runs:
        for call in run.compiled_calls:
            call.record.gradients.clear()


def returned_gradients(run: Run) -> Series:
    """The total gradient of every state of `run` in the last backward, zero where that led elsewhere."""
    calls = [_gradients_of(call) for call in run.compiled_calls]
    found = tuple(
        torch.cat([part[1:] for part in parts]) if len(parts) > 1 else parts[0][1:]
        for parts in zip(*calls, strict=True)
    )
    if not run.compiled_calls[0].emits:
        return found
    of_outputs, *carried = found
    return tuple(map(torch.add, carried, _by_own_output(run, of_outputs)))


def _by_own_output(run: Run, gradient: Tensor) -> Series:
    """The gradient by the state after each step that comes to it by what the step itself hands on, all steps at once.

    Args:
        run: A compiled loop whose cell has an output of its own.
        gradient: The gradient by every output, (time, sequences, size).
    """
    states = [[part.detach().flatten(0, 1) for part in parts] for parts in recorded_states(run)]
    before, after = tuple(states[0]), tuple(part.requires_grad_(is_number(part)) for part in states[1])
    with torch.enable_grad():
        output = run.cell.output(run.x.detach().flatten(0, 1), before, after)
    inside = [part for part in after if part.requires_grad]
    passed = iter(torch.autograd.grad(output, inside, gradient.flatten(0, 1), materialize_grads=True))
    each = (next(passed) if part.requires_grad else torch.zeros_like(part) for part in after)
    return tuple(part.view(*run.x.shape[:2], *part.shape[1:]) for part in each)


def recorded_states(run: Run) -> tuple[Series, Series]:
    """The states of a compiled loop before and after every step."""
    parts = list(zip(*(call.states for call in run.compiled_calls), strict=True))
    return (
        tuple(torch.cat([part[:-1] for part in each]) if len(each) > 1 else each[0][:-1] for each in parts),
        tuple(torch.cat([part[1:] for part in each]) if len(each) > 1 else each[0][1:] for each in parts),
    )


def backward_from_end(run: Run, end: State) -> Series:
    """Backpropagate the gradient by the last state of a compiled loop, along every path from there to its states."""
    _require_end(run)
    clear_gradients([run])
    entries = [part for call in run.compiled_calls for part in call.entry]
    torch.autograd.grad(run.compiled_calls[-1].final, entries, end, retain_graph=True, allow_unused=True)
    return returned_gradients(run)


def backward_through_loop(run: Run, end: State) -> Series:
    """Backpropagate the gradient by each sequence's last state, or the last that is read, through the steps of the loop alone."""
    end, outputs = _split_at_ends(run, end)
    clear_gradients([run])
    for call, of_outputs in zip(reversed(run.compiled_calls), reversed(outputs), strict=True):
        given, sent = (call.final, end) if of_outputs is None else ((*call.final, call.outputs), (*end, of_outputs))
        end = torch.autograd.grad(given, call.entry, sent, retain_graph=True, materialize_grads=True)
    return returned_gradients(run)


def _split_at_ends(run: Run, end: State) -> tuple[State, list[Tensor | None]]:
    """The gradient by the state after the last step, and by the outputs of each call: those that are read before the end."""
    if run.last_read is None:
        return end, [None] * len(run.compiled_calls)
    early = run.last_read < replace(run, last_read=None).ends
    read_out = run.compiled_calls[0].emits and bool(early.any())
    if read_out or any(bool(part[early].any()) for part in end[1:]):
        raise Unsupported("backward from a whole state before the end")
    first = end[0]
    outputs = first.new_zeros(len(run.x), *first.shape)
    outputs[run.last_read[early], early.nonzero().flatten()] = first[early]
    last = tuple(part.masked_fill(early.view(-1, *[1] * (part.dim() - 1)), 0.0) for part in end)
    return last, list(outputs.split([len(call.outputs) for call in run.compiled_calls]))


def _require_end(run: Run) -> None:
    """A compiled loop is differentiated from its end alone."""
    if run.last_read is not None:
        raise Unsupported("backward from a step before the end")


def _gradients_of(call: CompiledCall) -> Series:
    """The gradients of one call, of the state before its first step and after each."""
    if not call.record.gradients:
        return tuple(part.new_zeros(part.shape) for part in call.record.states)
    if len(call.record.gradients) > 1:
        raise Unsupported("single backward")
    return call.record.gradients[0]
