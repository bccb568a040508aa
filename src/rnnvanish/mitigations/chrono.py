r"""Chrono initialisation: memories of all lengths up to the longest that the task needs.

    b_f = ln u,  b_i = −b_f      u uniform from 1 to span − 1, for each unit

A forget gate f keeps a memory for about 1 / (1 − f) steps, and σ(ln u) makes that u + 1: the units' memories are spread
evenly from 2 to `span` steps. GRU has one gate for both; in torch it is z that keeps the old state, so z gets +ln u.
"""

import math
from dataclasses import dataclass
from typing import final

import torch

from rnnvanish.cell import Cell, Paper, keep_by, keeping_bias
from rnnvanish.mitigation import Draw


@final
@dataclass(frozen=True)
class Chrono(Draw):
    """Draw the biases of the gates that keep and write the state, for memories up to `span` steps.

    Args:
        span: Longest dependency to be expected, in steps; the length of the sequences will do.

    Examples:
        >>> from torch import nn
        >>> layer = Chrono(span=100)(nn.LSTM(2, 8))
    """

    span: float

    paper = Paper(
        "Tallec & Ollivier", 2018, "Can recurrent neural networks warp time?", "https://arxiv.org/abs/1804.11188"
    )
    checked = "the paper: b_f from ln U(1, T_max − 1), b_i its opposite"
    needs = "a gate that keeps the state, with a bias"
    invariant = (
        "At the start exp(bias) of the gate that keeps is uniform from 1 to span - 1; the input gate's is opposite."
    )

    def __post_init__(self) -> None:
        if not (self.span > 2 and math.isfinite(self.span)):
            raise ValueError(f"Chrono needs a span > 2 steps, got {self.span}.")

    def draw(self, cell: Cell) -> bool:
        """Draw the biases."""
        bias = keeping_bias(cell)
        if bias is None:
            return False
        keep_by(cell, torch.empty_like(bias).uniform_(1, self.span - 1).log(), write=True)
        return True
