"""Sensitivity: how much what was read at each lag can still change the output."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.loss import Loss
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.measure import NEARLY_ALL, Measure, Row
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How the loss depends on what one loop reads.

    Attributes:
        size: Norm of the derivative of the loss with respect to what the loop read at lag 0, 1, 2, ..., each sequence
            counted from its own end; root mean square over the sequences that are longer than the lag. It counts what
            this loop passes on; what the same input does elsewhere (a second direction, a skip) is not in it.
    """

    size: Float[Tensor, " lags"]

    @property
    def share(self) -> Float[Tensor, " lags"]:
        """Size over the sum of all sizes."""
        return self.size / self.size.sum()


def sensitivity(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> dict[str, Sensitivity]:
    """Measure, for each recurrent layer and direction, how the loss depends on its input at each lag.

    Arguments and errors are those of `probes.retention`; a step that cannot be repeated (random numbers) is an error.
    """
    return each_loop(model, inputs, loss, measure_alone(sensitivity_of), cells=cells)


def sensitivity_of(run: Run, gradients: Series) -> Pass[Sensitivity]:
    """Measure one loop, given the total gradient of every state."""
    longest = int(run.ends.max()) + 1
    total, count = torch.zeros(2, longest, dtype=torch.float64)
    while (steps := (yield)) is not None:
        square, lag = steps.backward.x_norms.square().cpu(), steps.lag.cpu()
        total.index_add_(0, lag, square)
        count.index_add_(0, lag, torch.ones_like(square))
    return Sensitivity((total / count).sqrt())


def _rows(found: Sensitivity) -> list[Row]:
    if found.share.isnan().any():
        return []
    steps = int((found.share.cumsum(0) < NEARLY_ALL).sum()) + 1
    return [("input", f"99.9 % of what it can change in the loss comes from the last {steps} steps")]


SENSITIVITY = Measure(
    name="sensitivity",
    about=__doc__,
    result=Sensitivity,
    units={"size": "loss per unit of input"},
    of_steps=sensitivity_of,
    rest_rows=_rows,
)
