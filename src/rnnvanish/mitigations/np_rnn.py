r"""np-RNN: a recurrent matrix of ReLU units with one direction that lasts, and no other that grows.

    A = R Rᵀ / N                        R: N x N, standard normal
    U = (A + I) / λ_max(A + I)          symmetric, eigenvalues above 0, the largest 1

Against the identity: units start mixed, and fewer directions are kept.
"""

from dataclasses import dataclass
from typing import final

import torch

from rnnvanish.cell import Cell, Paper, gates
from rnnvanish.mitigation import MatrixDraw
from rnnvanish.mitigations.he import is_rectifier


@final
@dataclass(frozen=True, repr=False)
class NpRNN(MatrixDraw):
    """Draw the recurrent matrix of a network of rectifiers positive definite with largest eigenvalue 1; the rest stays.

    Examples:
        >>> from torch import nn
        >>> layer = NpRNN()(nn.RNN(2, 8, nonlinearity="relu"))
    """

    paper = Paper(
        "Talathi & Vartak",
        2015,
        "Improving performance of recurrent neural network with relu nonlinearity",
        "https://arxiv.org/abs/1511.03771",
    )
    checked = "the paper: A = R Rᵀ / N, and (A + I) / λ_max"
    needs = "rectifiers without gates, as nn.RNN(nonlinearity='relu') has"
    invariant = "At the start the recurrent matrix is symmetric, its largest eigenvalue 1, all others between 0 and 1."

    def draw_matrices(self, cell: Cell) -> bool:
        """Draw the recurrent matrix."""
        if not is_rectifier(cell) or not gates(cell):
            return False
        (matrix,) = gates(cell)
        r = torch.randn_like(matrix)
        shifted = r @ r.T / len(r) + torch.eye(len(r), dtype=r.dtype, device=r.device)
        matrix.copy_(shifted / torch.linalg.eigvalsh(shifted)[-1])
        return True
