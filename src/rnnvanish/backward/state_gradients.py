"""The gradient of a loss by every state of a model's loops, whether these ran step by step or compiled."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnnvanish.cell import State
from rnnvanish.names import listed
from rnnvanish.numerics.norms import joint_norm, row_norms
from rnnvanish.observe import compiled_loops
from rnnvanish.observe.checks import Unmeasurable
from rnnvanish.observe.record import Run, Series

#: The parts of a state, in whatever form.
Tensors = tuple[Tensor, ...]


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


def state_gradients(
    model: nn.Module, runs: list[Run], value: Tensor, split: bool, keep: bool = False
) -> list[StateGradients]:
    """Differentiate `value` by every state; errors are those of `differentiate`.

    Args:
        model: For the message.
        runs: Its loops.
        value: A number.
        split: Whether to split the norms into what came in at each step and what the next step passed back.
        keep: Whether the graph is needed again.
    """
    asked = [_tensors_to_differentiate_by(run, split) for run in runs]
    keep = keep or split or any(run.altered or run.compiled_calls for run in runs)
    compiled_loops.clear_gradients(runs)
    found = iter(differentiate(model, runs, value, [parts for each in asked for parts in each], keep))
    return [_of_loop(run, [next(found) for _ in each], split) for run, each in zip(runs, asked, strict=True)]


def differentiate(
    model: nn.Module, runs: list[Run], value: Tensor, states: Sequence[Tensors], keep: bool = False
) -> list[Tensors]:
    """Compute the derivative of `value` by every part of `states`, zero where none leads there.

    Args:
        model: For the message.
        runs: For the message.
        value: A number.
        states: Tensors of its graph, or outside of it.
        keep: Whether the graph is needed again.

    Raises:
        ValueError: Where none of them has a gradient: says why; where an operation of the model has no derivative.
    """
    inside = [part for state in states for part in state if part.requires_grad]
    there = value.requires_grad and inside
    found = torch.autograd.grad(value, inside, allow_unused=True, retain_graph=keep) if there else ()
    if all(gradient is None for gradient in found):
        raise Unmeasurable(_missing_gradient(model, runs, value))
    remaining = iter(found)
    every = [[next(remaining) if part.requires_grad else None for part in state] for state in states]
    return [
        tuple(torch.zeros_like(part) if g is None else g for part, g in zip(state, row, strict=True))
        for state, row in zip(states, every, strict=True)
    ]


def _tensors_to_differentiate_by(run: Run, split: bool) -> list[Tensors]:
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


def _missing_gradient(model: nn.Module, runs: list[Run], value: Tensor) -> str:
    said = f"The loss does not depend on a recurrent layer of {type(model).__name__}. Seen were {listed(r.name for r in runs)}. "
    if not any(run.has_graph for run in runs):
        return (
            said + "All of them ran under no_grad() or inference_mode(): leave that out of the forward to measure it."
        )
    if not value.requires_grad:
        return said + (
            "It has no gradient at all: is there a detach(), a no_grad(), an item() or a numpy() on its way, or is it "
            "computed from inputs alone? Name another with loss=."
        )
    return said + (
        "Its gradient goes elsewhere: is there a detach() or a no_grad() between them and the loss, or does the loss read "
        "another part of the model? Name one with loss= that reads what they return."
    )
