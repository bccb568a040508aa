r"""Identity initialisation (IRNN): a ReLU network that at first hands its state on as it is.

    U = scale I,  b = c = 0      h ← relu(W x + h)
    W ~ N(0, input_std²), where that is given

A unit that is on passes the gradient on unchanged, one that is off stops it.
"""

import math
from dataclasses import dataclass
from typing import final

from torch import nn

from rnnvanish.cell import Cell, Paper, gates
from rnnvanish.mitigation import Draw
from rnnvanish.mitigations.he import is_rectifier


@final
@dataclass(frozen=True)
class Identity(Draw):
    """Set the recurrent matrix of a network of rectifiers to the identity, its biases to zero.

    Args:
        scale: Less than 1 forgets slowly, on purpose.
        input_std: Of the normal distribution that input weights are drawn from; the paper's is 0.001. 0 leaves them.

    Examples:
        >>> layer = Identity()(nn.RNN(2, 8, nonlinearity="relu"))
    """

    scale: float = 1.0
    input_std: float = 0.0

    paper = Paper(
        "Le, Jaitly & Hinton",
        2015,
        "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units",
        "https://arxiv.org/abs/1504.00941",
    )
    checked = (
        "the paper; it draws the input weights from N(0, 0.001), which are left alone here unless `input_std` is given"
    )
    needs = "rectifiers without gates, as nn.RNN(nonlinearity='relu') has"
    invariant = "At the start the recurrent matrix is the identity times the scale, and the biases are zero."

    def __post_init__(self) -> None:
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise ValueError(f"Identity needs a scale > 0, got {self.scale}.")
        if not (self.input_std >= 0 and math.isfinite(self.input_std)):
            raise ValueError(f"Identity needs an input_std >= 0, got {self.input_std}.")

    def draw(self, cell: Cell) -> bool:
        """Set the recurrent matrix and the biases, and draw the input weights where that is asked for."""
        if not is_rectifier(cell) or not gates(cell):
            return False
        nn.init.eye_(gates(cell)[0]).mul_(self.scale)
        for weight in gates(cell, "from_x.weight") if self.input_std else ():
            nn.init.normal_(weight, std=self.input_std)
        for bias in (*gates(cell, "from_x.bias"), *gates(cell, "from_h.bias")):
            bias.zero_()
        return True
