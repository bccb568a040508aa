"""The gradient of a loss by every state of a model's loops, whether these ran step by step or compiled."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnnvanish.backward.differentiate import Tensors, differentiate
from rnnvanish.backward.replay import Series
from rnnvanish.cell import State
from rnnvanish.numerics.norms import joint_norm, row_norms
from rnnvanish.observe import compiled_loops
from rnnvanish.observe.record import Run


@dataclass(frozen=True)
class StateGradients:
    """The gradient of a loss by every state of one loop.

    Attributes:
        states: State by state; empty of a loop that ran compiled.
        total: A tensor for each part of the state.
        sizes: The norms of these, (time, sequences).
        origins: Norms of what came in at each step, and of the rest, which came back through the next step, both
            (time, sequences); None where that was not asked for, and of a loop whose states the model changes: what is
            passed back is then not the gradient by the state.
    """

    states: list[State]
    total: Series
    sizes: list[Tensor]
    origins: tuple[Tensor, Tensor] | None


def state_gradients(model: nn.Module, runs: list[Run], value: Tensor, split: bool) -> list[StateGradients]:
    """Differentiate `value` by every state; errors are those of `differentiate`.

    Args:
        model: For the message.
        runs: Its loops.
        value: A number.
        split: Whether to split the norms into what came in at each step and what the next step passed back.
    """
    asked = [_differentiated(run, split) for run in runs]
    keep = split or any(run.altered or run.compiled_calls for run in runs)
    compiled_loops.clear_gradients(runs)
    found = iter(differentiate(model, runs, value, [parts for each in asked for parts in each], keep))
    return [_of_loop(run, [next(found) for _ in each], split) for run, each in zip(runs, asked, strict=True)]


def _differentiated(run: Run, split: bool) -> list[Tensors]:
    """The tensors to differentiate by."""
    if run.compiled_calls:
        return [(*call.entry, call.outputs) if split else call.entry for call in run.compiled_calls]
    return [*run.states, *(run.entries if split else ())]


def _of_loop(run: Run, found: list[Tensors], split: bool) -> StateGradients:
    if run.compiled_calls:
        total = compiled_loops.returned_gradients(run)
        sizes = list(map(row_norms, total))
        origins = compiled_loops.split_norms(run, total, sizes, [parts[-1] for parts in found]) if split else None
        return StateGradients([], total, sizes, origins)
    states, entries = found[: len(run.states)], found[len(run.states) :]
    total = tuple(torch.stack(parts) for parts in zip(*states, strict=True))
    return StateGradients(
        states, total, list(map(row_norms, total)), _split_norms(total, entries) if split and not run.altered else None
    )


def _split_norms(total: Series, entries: Sequence[Tensors]) -> tuple[Tensor, Tensor]:
    """What came in at each step, and what came back: the gradient by the state as the next step read it."""
    back = tuple(map(torch.zeros_like, total))
    for t, parts in enumerate(entries[1:]):
        for whole, rows in zip(back, parts, strict=False):  # a step that makes its own first state has read none
            whole[t, : len(rows)] = rows
    came_in = [whole - part for whole, part in zip(total, back, strict=True)]
    return joint_norm(list(map(row_norms, came_in))), joint_norm(list(map(row_norms, back)))
