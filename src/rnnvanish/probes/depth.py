"""Retention through depth: how much of the gradient passes down through each layer, to the one below."""

import math
from dataclasses import dataclass
from typing import Any

from torch import nn

from rnnvanish.backward.each_loop import Loss, each_loop
from rnnvanish.backward.recurrent_path import injected_gradient
from rnnvanish.backward.replay import Series, replay_all
from rnnvanish.cell import State
from rnnvanish.measure import Measure, Row
from rnnvanish.numerics.real_view import pack
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
    return each_loop(model, inputs, loss, passage_of, lambda passage: passage.resolved, cells)


def passage_of(run: Run, gradients: Series) -> Passage:
    """Measure one loop, given the total gradient of every state."""
    leaves = 0.0
    for steps in replay_all(run):
        leaves += _square(steps.vjp(steps.rows_of(gradients), (steps.x,)))
    return Passage(_square(injected_gradient(run, gradients)) ** 0.5, leaves**0.5)


def _square(parts: State | Series) -> float:
    return sum(float(pack(part).double().square().sum()) for part in parts)


def _rows(found: Passage) -> list[Row]:
    if math.isnan(found.gain):
        return []
    return [("depth", f"{found.gain:.2g} of the gradient goes on to what this loop reads")]


DEPTH = Measure(
    name="depth",
    about=__doc__,
    result=Passage,
    units={"arrives": "loss per unit of state", "leaves": "loss per unit of input"},
    of_loop=passage_of,
    rest_rows=_rows,
    resolved=lambda found: found.resolved,
)
