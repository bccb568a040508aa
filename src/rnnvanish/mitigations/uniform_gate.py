r"""Uniform gate initialisation: gates that are spread evenly between closed and open.

    σ(b_f) = u      u uniform from 1/H to 1 − 1/H, for each of the H units

Of H units about one keeps its state for H steps; no length has to be known. The paper has one gate for both, i = 1 − f,
as GRU has; the two gates of an LSTM start so with b_i = −b_f. The refine gate, its other half, is no initialisation.
"""

from dataclasses import dataclass
from typing import final

import torch

from rnnvanish.cell import Cell, Paper, keep_by, keeping_bias
from rnnvanish.mitigation import Draw


@final
@dataclass(frozen=True)
class UniformGate(Draw):
    """Draw the bias of the gate that keeps the state so that the gate itself is uniform; needs two units at least.

    Examples:
        >>> from torch import nn
        >>> layer = UniformGate()(nn.GRU(2, 8))
    """

    paper = Paper(
        "Gu, Gulcehre, Paine, Hoffman & Pascanu",
        2020,
        "Improving the Gating Mechanism of Recurrent Neural Networks",
        "https://arxiv.org/abs/1910.09890",
    )
    checked = "the paper: b = −ln(1/u − 1), u from U(1/H, 1 − 1/H)"
    needs = "a gate that keeps the state, with a bias, and two units"
    invariant = (
        "At the start the gate that keeps, of no input, is uniform from 1/H to 1 - 1/H; the input gate is the rest."
    )

    def draw(self, cell: Cell) -> bool:
        """Draw the biases."""
        bias = keeping_bias(cell)
        if bias is None or len(bias) < 2:
            return False
        least = 1 / len(bias)
        keep_by(cell, torch.empty_like(bias).uniform_(least, 1 - least).logit(), write=True)
        return True
