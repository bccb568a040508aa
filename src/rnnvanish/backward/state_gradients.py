"""The gradient by every state of a model's loops, whether these ran step by step or compiled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.backward.replay import recorded_states
from rnnvanish.cell import State
from rnnvanish.names import listed
from rnnvanish.numerics.norms import row_norms
from rnnvanish.observe import compiled_loops
from rnnvanish.observe.record import Run, Series

#: The parts of a state, in whatever form.
Tensors = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Source:
    """What a gradient starts from.

    Attributes:
        outputs: Tensors, or their places in the graph.
        gradients: What is sent into each; None of a single number for one.
    """

    outputs: Sequence[Any]
    gradients: Sequence[Tensor | None]

    @property
    def requires_grad(self) -> bool:
        """Whether any gradient can start from here."""
        return any(getattr(output, "requires_grad", True) for output in self.outputs)

    def gradient(self, inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Differentiate by tensors of the graph; None where no path leads. The graph is kept."""
        found: tuple[Tensor | None, ...] = torch.autograd.grad(
            self.outputs, inputs, self.gradients, allow_unused=True, retain_graph=True
        )
        return found


@dataclass(frozen=True)
class StateGradients:
    """The gradient by every state of one loop.

    Attributes:
        source: What it starts from.
        reached: Whether any path leads to the loop.
        states: State by state; empty of a loop that ran compiled.
        total: A tensor for each part of the state, as the cell has them.
        rows: The same by the coordinates of the state.
        sizes: The norms of these, (time, sequences).
    """

    source: Source
    reached: bool
    states: list[State]
    total: Series
    rows: Series
    sizes: list[Tensor]

    @property
    def arrives(self) -> bool:
        """Whether it is anything but zero."""
        return any(bool(size.any()) for size in self.sizes)


def state_gradients(runs: Sequence[Run], source: Source) -> list[StateGradients]:
    """Differentiate by every state of some loops of a model, zero where no path leads."""
    asked = [[each.entry for each in run.compiled_calls] if run.compiled_calls else run.states for run in runs]
    compiled_loops.clear_gradients(runs)
    found = iter(_differentiate(source, [parts for each in asked for parts in each]))
    every = [[next(found) for _ in each] for each in asked]
    return [
        _of_loop(run, source, list(map(_zeros_for_none, each, own)), any(g is not None for row in own for g in row))
        for run, each, own in zip(runs, asked, every, strict=True)
    ]


def differentiate(source: Source, states: Sequence[Tensors]) -> list[Tensors]:
    """Compute the derivative by every part of `states`, tensors of the graph or outside of it; zero where no path leads."""
    return list(map(_zeros_for_none, states, _differentiate(source, states)))


def _differentiate(source: Source, states: Sequence[Tensors]) -> list[list[Tensor | None]]:
    inside = [part for state in states for part in state if part.requires_grad]
    remaining = iter(source.gradient(inside) if source.requires_grad and inside else ())
    return [[next(remaining, None) if part.requires_grad else None for part in state] for state in states]


def _zeros_for_none(state: Tensors, row: Sequence[Tensor | None]) -> Tensors:
    return tuple(torch.zeros_like(part) if g is None else g for part, g in zip(state, row, strict=True))


def _of_loop(run: Run, source: Source, found: list[Tensors], reached: bool) -> StateGradients:
    total = compiled_loops.returned_gradients(run) if run.compiled_calls else None
    states = [] if total else found
    series = total or tuple(torch.stack(parts) for parts in zip(*states, strict=True))
    rows = coordinate_gradients(run, series)
    return StateGradients(source, reached, states, series, rows, list(map(row_norms, rows)))


def coordinate_gradients(run: Run, total: Tensors) -> Series:
    """The gradient by the coordinates of every state of a loop, from that by its parts."""
    coordinates = Coordinates.of(run)
    return coordinates.gradient_rows(total, recorded_states(run)[1] if coordinates.scaled else total)


def missing_gradient(model: nn.Module, runs: Sequence[Run], value: Tensor) -> str:
    """Say why no loop has a gradient."""
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
