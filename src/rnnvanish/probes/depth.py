"""Retention through depth: how much of the gradient passes down through each layer, to the one below."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.loss import Loss
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.backward.recurrent_path import inside_sequences, subtract_passed_back
from rnnvanish.measure import Measure, Row
from rnnvanish.numerics.norms import joint_norm
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run


@dataclass(frozen=True)
class Passage:
    """What one loop lets through downwards, over all steps of all sequences together.

    Attributes:
        arrives: Norm of the gradient that comes into the loop's states from outside: from the layer above or the loss.
        leaves: Norm of the gradient with respect to all that the loop reads: what the layer below gets.
    """

    arrives: float
    leaves: float

    @property
    def gain(self) -> float:
        """What is left: leaves over arrives; nan where nothing arrives."""
        return self.leaves / self.arrives if self.arrives else float("nan")

    @property
    def resolved(self) -> bool:
        """Whether what leaves was not rounded to nothing."""
        return self.leaves > 0 or self.arrives == 0


def depth(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> dict[str, Passage]:
    """Measure how much of the gradient each recurrent layer and direction passes on to what is below it.

    Where nothing lies between two layers (no dropout, no second direction, no skip), what leaves one is what arrives
    at the next, and the gains multiply to that of the whole stack.

    Arguments and errors are those of `probes.retention`; a step that cannot be repeated (random numbers) is an error.
    """
    return each_loop(model, inputs, loss, measure_alone(passage_of), lambda passage: passage.resolved, cells)


def passage_of(run: Run, gradients: Series) -> Pass[Passage]:
    """Measure one loop, given the total gradient of every state."""
    leaves, came_in = 0.0, inside_sequences(run, gradients)
    while (steps := (yield)) is not None:
        leaves += float(steps.backward.x_norms.square().sum())
        subtract_passed_back(came_in, steps)
    arrives = joint_norm([torch.linalg.vector_norm(part.double()) for part in came_in])
    return Passage(float(arrives), leaves**0.5)


def _rows(found: Passage) -> list[Row]:
    if math.isnan(found.gain):
        return []
    return [("depth", f"{found.gain:.2g} of the gradient goes on to what this loop reads")]


DEPTH = Measure(
    name="depth",
    about=__doc__,
    result=Passage,
    units={"arrives": "loss per unit of state", "leaves": "loss per unit of input"},
    of_steps=passage_of,
    rest_rows=_rows,
    resolved=lambda found: found.resolved,
)
