"""Gradients for next to nothing: a compiled loop hands out those of every state on its way back.

A measure that asks for no more than gradients needs no loop in plain sight. Whatever is unusual goes step by step all
the same: a cell that cannot be compiled, states that the model changes on the way, a second derivative.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.cell import Cell, State
from rnnvanish.engine import run as engine_run
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.reference import Step
from rnnvanish.mitigation import Wrapper
from rnnvanish.numerics.norms import joint_norm, row_norms
from rnnvanish.observe.record import Handed, Run
from rnnvanish.recurrent import Recurrent

#: A loop of fewer steps, in the midst of a model, is not worth compiling for a measure.
STEPS = 64

#: Gradients of every state of a loop: (time, batch, size) for each part.
Gradients = tuple[Tensor, ...]


def stepped(module: nn.Module, step: Step, x: Tensor, state: State, lengths: Tensor | None) -> Handed | None:
    """Have a loop run step by step."""
    return None


def where_worth_it(module: nn.Module, step: Step, x: Tensor, state: State, lengths: Tensor | None) -> Handed | None:
    """Have a loop run compiled if it can, and is long."""
    try:
        return compiled(module, step, x, state, lengths) if len(x) >= STEPS else None
    except Unsupported:
        return None


def compiled(module: nn.Module, step: Step, x: Tensor, state: State, lengths: Tensor | None) -> Handed:
    """Have a loop run compiled.

    Raises:
        Unsupported: Where it cannot, or has next to no numbers.
    """
    if not isinstance(step, Cell) or isinstance(step, Wrapper):  # what is added to a state may have no gradient
        raise Unsupported("way to hand out the gradients of a state that is more than a cell's")
    if not torch.is_grad_enabled() or (isinstance(module, Recurrent) and module.engine == "reference"):
        raise Unsupported("gradients to hand out")
    if len(x) < 2 or len(x) * sum(part.numel() for part in state) < engine_run.WORTH:
        raise Unsupported("loop that is worth compiling")
    entry, trace = tuple(part.view_as(part) for part in state), list[Tensor]()
    outputs, final = engine_run.run(step, x, entry, lengths, "auto", trace)
    return Handed(entry, outputs, tuple(part.view_as(part) for part in final), trace)


def by_its_engine(engine: str, forward: Callable[..., Any], module: Recurrent, *args: Any, **kwargs: Any) -> Any:
    """Run a borrowed layer by the engine that is its own where its sequences are long; else step by step."""
    x = args[0] if args else kwargs.get("x", kwargs.get("input"))
    if isinstance(x, PackedSequence):
        steps = len(x.batch_sizes)
    else:
        steps = x.shape[x.dim() == 3 and module.batch_first] if isinstance(x, Tensor) and x.dim() else 0
    module.engine = engine if steps >= STEPS else "reference"
    return forward(*args, **kwargs)


def forget(runs: list[Run]) -> None:
    """Make ready for a way back."""
    for run in runs:
        for call in run.compiled:
            call.trace.clear()


def handed_out(run: Run) -> Gradients:
    """Collect what the last way back handed out: the total gradient of every state of `run`, zero where it led elsewhere."""
    calls = [_trace(call) for call in run.compiled]
    return tuple(
        torch.cat([part[1:] for part in parts]) if len(parts) > 1 else parts[0][1:]
        for parts in zip(*calls, strict=True)
    )


def arrivals(run: Run, total: Gradients, sizes: list[Tensor], of_outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Tell what came in at each step of a compiled loop from what came back through its next step: the norms of both.

    Args:
        run: The loop, after a way back.
        total: What that handed out.
        sizes: The norms of that.
        of_outputs: The gradients by the outputs of each call.
    """
    direct = of_outputs[0] if len(of_outputs) == 1 else torch.cat(of_outputs)
    if direct.any():
        came, back = row_norms(direct), joint_norm([row_norms(total[0] - direct), *sizes[1:]])
    else:
        came, back = torch.zeros_like(sizes[0]), joint_norm(sizes).clone()
    for start, after in zip([*run.starts[1:], len(run.x)], [*run.compiled[1:], None], strict=True):
        last = [part[start - 1] for part in total]
        passed = list(map(torch.zeros_like, last)) if after is None else [part[0] for part in _trace(after)]
        came[start - 1] = joint_norm([row_norms(whole - part) for whole, part in zip(last, passed, strict=True)])
        back[start - 1] = joint_norm(list(map(row_norms, passed)))
    return came, back


def through_all(run: Run, end: State) -> Gradients:
    """Carry the gradient by the last state of a compiled loop back, by every way that leads from there to its states."""
    _need_the_end(run)
    forget([run])
    entries = [part for call in run.compiled for part in call.entry]
    torch.autograd.grad(run.compiled[-1].final, entries, end, retain_graph=True, allow_unused=True)
    return handed_out(run)


def through_steps(run: Run, end: State) -> Gradients:
    """Carry it back through the steps of the loop alone."""
    _need_the_end(run)
    forget([run])
    for call in reversed(run.compiled):
        end = torch.autograd.grad(call.final, call.entry, end, retain_graph=True, materialize_grads=True)
    return handed_out(run)


def _need_the_end(run: Run) -> None:
    """A compiled loop takes gradients back from its end alone."""
    if run.read is not None:
        raise Unsupported("way back from a step on the way")


def _trace(call: Handed) -> list[Tensor]:
    """What one call handed out."""
    if not call.trace:
        return [part.new_zeros(len(call.outputs) + 1, *part.shape) for part in call.entry]
    if len(call.trace) != len(call.entry):
        raise Unsupported("single way back")
    return call.trace
