r"""Learning in stretches: the gradient is cut every k steps, and nothing before the cut is learnt from.

The values are those of the plain layer. It is a cure for memory and time, and for exploding gradients; from
further back than the window comes no gradient.
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper, wrap
from rnnvanish.recurrent import Recurrent


class _Truncated(Wrapper):
    """Its state carries a clock: steps since the last cut."""

    def __init__(self, cell: Cell, window: int) -> None:
        super().__init__(cell, ("clock",), helpers=("clock",))
        self.window = window

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        *own, clock = state
        due = clock.detach() >= self.window
        own = [detach_where(due, part) for part in own]
        return (*self.cell(x, tuple(own), **wanted), torch.where(due, 1.0, clock.detach() + 1.0))

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        return (*self.cell.initial_state(x), x.new_zeros(len(x), 1))


def detach_where(cut: Bool[Tensor, "batch 1"], part: Tensor) -> Tensor:
    """Of the sequences that are cut a part of the state without its gradient; number by number, as not all may be."""
    return torch.where(cut.view(-1, *[1] * (part.dim() - 1)), part.detach(), part)


@dataclass(frozen=True)
class TruncatedBackpropagation(Build):
    """Detach the state every `window` steps, counted from the beginning of each sequence.

    To be applied after other builds: what they carry along, such as older outputs, is then cut too. The count is a part of the state, "clock", without
    gradient: so the state of a `Recurrent` becomes a tuple. A state that is handed to a later call is not detached:
    that is up to the caller.

    Attributes:
        window: Steps from one cut to the next.

    Raises:
        ValueError: For a window below 1.
    """

    paper = Paper(
        "Williams & Peng",
        1990,
        "An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent Network Trajectories",
        "https://doi.org/10.1162/neco.1990.2.4.490",
    )
    checked = "torch's own layers, run by stretches with detached states; the paper's BPTT(h; h') with h' = h"
    invariant = "The gradient of a loss with respect to a state on the other side of a cut is exactly zero."
    window: int = 20

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"TruncatedBackpropagation needs a window >= 1, got {self.window}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell."""
        return wrap(layer, partial(_Truncated, window=self.window))
