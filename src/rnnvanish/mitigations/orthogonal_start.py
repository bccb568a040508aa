r"""Orthogonal initialisation: a recurrent matrix that turns the state and neither shrinks nor stretches it.

    Uᵀ U = gain² I      for each gate by itself: the stacked matrix being orthogonal says nothing of a single gate

Only the start: training moves the matrix away. The slopes of the activation still shrink the gradient; a gain a little
above 1 makes up for them.
"""

import math
from dataclasses import dataclass
from typing import final

from torch import nn

from rnnvanish.cell import Cell, Paper
from rnnvanish.mitigation import MatrixDraw, free_matrices


@final
@dataclass(frozen=True, repr=False)
class OrthogonalStart(MatrixDraw):
    """Draw the recurrent matrix of each gate orthogonal; input weights and biases stay.

    Args:
        gain: What it multiplies lengths by.

    Examples:
        >>> layer = OrthogonalStart()(nn.GRU(2, 8))
    """

    gain: float = 1.0

    paper = Paper(
        "Saxe, McClelland & Ganguli",
        2014,
        "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
        "https://arxiv.org/abs/1312.6120",
    )
    checked = "torch.nn.init.orthogonal_, which cites the paper; gain 1"
    needs = "a recurrent matrix that is a parameter"
    invariant = "At the start all singular values of each gate's recurrent matrix are equal to the gain."

    def __post_init__(self) -> None:
        if not (self.gain > 0 and math.isfinite(self.gain)):
            raise ValueError(f"OrthogonalStart needs a gain > 0, got {self.gain}.")
        super().__post_init__()

    def draw_matrices(self, cell: Cell) -> bool:
        """Draw the recurrent weights, gate by gate."""
        blocks = free_matrices(cell)
        for block in blocks:
            nn.init.orthogonal_(block, self.gain)
        return bool(blocks)
