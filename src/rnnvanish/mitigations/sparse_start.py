r"""Sparse start: each unit listens to a few others, at full strength, whatever the size of the network.

    U_ij ~ N(0, 1) for 15 units j that are drawn for each unit i, else 0; then U ← radius U / spectral radius of U

Units stay different from each other, and a sum of few terms does not saturate them. The radius says how long an echo lasts.
"""

from dataclasses import dataclass, field
from typing import final

import torch

from rnnvanish.cell import Cell, Paper
from rnnvanish.mitigation import MatrixDraw, free_matrices


@final
@dataclass(frozen=True, repr=False)
class SparseStart(MatrixDraw):
    """Draw each gate's recurrent matrix with a few numbers in each row, the rest 0; input weights and biases stay.

    Args:
        connections: Numbers in each row that are not 0; a smaller network has all.
        radius: The spectral radius that it is scaled to; None leaves it at about the square root of `connections`.
        slope_gain: See `MatrixDraw`; takes radius=None.

    Examples:
        >>> from torch import nn
        >>> layer = SparseStart()(nn.RNN(2, 100))
        >>> (layer.weight_hh_l0 != 0).sum(1).unique()
        tensor([15])
    """

    connections: int = 15
    radius: float | None = field(default=1.1, kw_only=True)

    paper = Paper(
        "Martens & Sutskever",
        2011,
        "Learning Recurrent Neural Networks with Hessian-Free Optimization",
        "https://icml.cc/2011/papers/532_icmlpaper.pdf",
        where="15 incoming connections a unit, as Martens (2010); a radius of 1.1 is Sutskever et al. (2013)",
    )
    checked = (
        'pascanur/trainingRNNs RNN.py @ 3f5df3ffdd ("smart_tanh"), which limits outgoing connections to 15 and takes a '
        "radius of 0.95; torch.nn.init.sparse_, which leaves out a part of each column"
    )
    needs = "a recurrent matrix that is a parameter"
    invariant = (
        "At the start each row of a gate's recurrent matrix has `connections` numbers, and the radius is the one given."
    )

    def __post_init__(self) -> None:
        if self.connections < 1:
            raise ValueError(f"SparseStart needs connections >= 1, got {self.connections}.")
        super().__post_init__()

    def draw_matrices(self, cell: Cell) -> bool:
        """Draw the recurrent weights, gate by gate."""
        matrices = free_matrices(cell)
        for matrix in matrices:
            chosen = torch.rand_like(matrix).topk(min(self.connections, matrix.shape[1]), dim=1).indices
            matrix.zero_().scatter_(1, chosen, torch.randn_like(matrix))
        return bool(matrices)
