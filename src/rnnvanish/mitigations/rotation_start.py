r"""Rotations as a start: the units turn in pairs, each pair by an angle of its own.

    U = diag(R₁, R₂, …)        R = (cos θ, sin θ; −sin θ, cos θ) = exp S = (I + T)⁻¹ (I − T)
                               S = (0, θ; −θ, 0),  T = −tan(θ/2) (0, 1; −1, 0)

Orthogonal, as `OrthogonalStart`, and sparse: a pair is a clock that nothing stops. A cell whose matrix is the
exponential or the Cayley transform of an antisymmetric one is given S or T.
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.cell import Cell, Paper
from rnnvanish.mitigation import MatrixDraw, free_matrices

#: From where to where the angles are uniform.
ANGLES = {"henaff": (-math.pi, math.pi), "cayley": (0.0, math.pi / 2)}


@final
@dataclass(frozen=True, repr=False)
class RotationStart(MatrixDraw):
    """Set each gate's recurrent matrix to rotations of pairs of units by drawn angles; the odd unit of one keeps its state.

    Args:
        angles: "henaff", uniform from −π to π; or "cayley", from 0 to π/2 (Helfrich, Willmott & Ye 2018).

    Examples:
        >>> from torch import nn
        >>> layer = RotationStart()(nn.RNN(2, 8))
    """

    angles: str = "henaff"

    paper = Paper(
        "Henaff, Szlam & LeCun",
        2016,
        "Recurrent Orthogonal Networks and Long-Memory Tasks",
        "https://arxiv.org/abs/1602.06662",
    )
    checked = (
        'Lezcano/expRNN initialization.py ("henaff" and "cayley") @ 830ec83652; an older copy, in nnRNN, draws "henaff" '
        "from −π to 0"
    )
    needs = "square recurrent matrices that are parameters, or an antisymmetric one that makes an orthogonal matrix"
    invariant = "At the start each pair of units turns by its angle, and its length stays."

    def __post_init__(self) -> None:
        if self.angles not in ANGLES:
            raise ValueError(f"RotationStart needs angles 'henaff' or 'cayley', got {self.angles!r}.")
        super().__post_init__()

    def draw_matrices(self, cell: Cell) -> bool:
        """Draw the angles, gate by gate.

        Raises:
            ValueError: For a radius or a gain, where the matrix is orthogonal whatever its parameters are.
        """
        matrices = free_matrices(cell)
        if any(len(matrix) != matrix.shape[1] for matrix in matrices):
            return False
        if cell.skew and (self.radius is not None or self.slope_gain):
            raise ValueError(f"The matrix of {type(cell).__name__} is orthogonal: it cannot be scaled.")
        for matrix in matrices:
            angle = self._draw_angles(matrix)
            matrix.copy_(torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device))
            _set_pairs(matrix, angle.sin(), angle.cos())
        for name, by in cell.skew.items():
            a = cell.get_parameter(name)
            angle = self._draw_angles(a)
            _set_pairs(a.zero_(), angle if by == "exp" else -torch.tan(angle / 2))
        return bool(matrices or cell.skew)

    def _draw_angles(self, matrix: Tensor) -> Tensor:
        return torch.empty_like(matrix[0, : len(matrix) // 2]).uniform_(*ANGLES[self.angles])


def _set_pairs(matrix: Tensor, off: Float[Tensor, " pairs"], on: Float[Tensor, " pairs"] | None = None) -> None:
    """Write what stands beside the diagonal of each pair, and with opposite sign below it; and on it."""
    first = 2 * torch.arange(len(off), device=off.device)
    matrix[first, first + 1], matrix[first + 1, first] = off, -off
    if on is not None:
        matrix[first, first] = matrix[first + 1, first + 1] = on
