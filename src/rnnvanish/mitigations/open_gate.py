r"""A positive bias on the gate that keeps the state: at first the network remembers, and learns when to forget.

    LSTM: forget gate f      GRU: update gate z, which in torch keeps the old state      σ(1) = 0.73, σ(3) = 0.95

Torch has two biases for each gate, which add up; setting both to 1 would make 2.
"""

import math
from dataclasses import dataclass
from typing import final

from rnnvanish.cell import Cell, Paper, keep_by, keeping_bias
from rnnvanish.mitigation import Draw


@final
@dataclass(frozen=True)
class OpenGate(Draw):
    """Set the bias of the gate that keeps the state (an LSTM's forget gate, a GRU's update gate); the rest stays.

    Args:
        bias: The sum of both biases, before the sigmoid; of a gate that keeps where it is closed, minus the sum.

    Examples:
        >>> from torch import nn
        >>> layer = OpenGate(bias=3.0)(nn.LSTM(2, 8))
    """

    bias: float = 1.0

    paper = Paper(
        "Jozefowicz, Zaremba & Sutskever",
        2015,
        "An Empirical Exploration of Recurrent Network Architectures",
        "https://proceedings.mlr.press/v37/jozefowicz15.html",
        where="for the LSTM; first advised by Gers, Schmidhuber & Cummins (2000)",
    )
    checked = "the paper: 1 as the bias"
    needs = "a gate that keeps the state, with a bias"
    invariant = "At the start both biases of the gate that keeps the state add up to the number given, in every unit."

    def __post_init__(self) -> None:
        if not math.isfinite(self.bias):
            raise ValueError(f"OpenGate needs a finite bias, got {self.bias}.")

    def draw(self, cell: Cell) -> bool:
        """Set the bias of the gate that keeps the state."""
        if keeping_bias(cell) is None:
            return False
        keep_by(cell, self.bias)
        return True
