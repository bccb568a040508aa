r"""Singular values in a band around 1: the recurrent matrix may forget and stretch a little, and no more.

    U = P diag(s) Qᵀ        s = 1 + m (2 σ(p) − 1), P and Q orthogonal

With m = 0 it is an orthogonal matrix. What a step back does to the length of a gradient, but for slopes and gates, lies
between 1 − m and 1 + m.
"""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rnnvanish.cell import Paper
from rnnvanish.mitigation.constraint import Constraint, Stacked

Square = Float[Tensor, "gates units units"]


class _Banded(nn.Module):
    """Makes a matrix for each gate of p and of what P and Q have turned by since they were set."""

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor, stacked: Stacked, margin: float) -> None:
        super().__init__()
        self.stacked, self.margin = stacked, margin
        for name in ("left", "right"):
            self.register_buffer(name, torch.empty_like(stacked.right_inverse(weight)))

    def forward(self, p: Float[Tensor, "gates units"], a: Square, b: Square) -> Float[Tensor, "rows units"]:
        s = 1 + self.margin * (2 * torch.sigmoid(p) - 1)
        left, right = (base @ torch.linalg.matrix_exp(x - x.mT) for base, x in ((self.left, a), (self.right, b)))
        return cast(Tensor, self.stacked((left * s[:, None, :]) @ right.mT))

    @torch.no_grad()
    def right_inverse(self, weight: Float[Tensor, "rows units"]) -> tuple[Tensor, Square, Square]:
        left, s, right = torch.linalg.svd(self.stacked.right_inverse(weight))
        self.left.copy_(left)
        self.right.copy_(right.mT)
        p = ((s - 1) / (2 * self.margin) + 0.5).logit()
        within = p.isfinite().all(-1, keepdim=True)  # nan outside of the band
        return torch.where(within, p, 0.0), torch.zeros_like(left), torch.zeros_like(left)


@dataclass(frozen=True)
class SingularValueBand(Constraint):
    """Hold all singular values of each gate's recurrent matrix within 1 ± `margin`, by a parametrization.

    A matrix that lies in the band is where it starts; in the place of another it starts at the nearest orthogonal one. It
    is computed once in each run of the layer, and has twice the parameters of the plain one.

    Attributes:
        margin: m.

    Raises:
        ValueError: For a margin that is not between 0 and 1.

    Examples:
        >>> layer = SingularValueBand(0.1)(nn.RNN(2, 8))
        >>> s = torch.linalg.svdvals(layer.cells[0].from_h.weight)
        >>> torch.allclose(s, torch.ones(8), atol=1e-5)
        True
    """

    paper = Paper(
        "Vorontsov, Trabelsi, Kadoury & Pal",
        2017,
        "On orthogonality and learning recurrent networks with long term dependencies",
        "https://arxiv.org/abs/1702.00071",
    )
    checked = (
        "the paper's s = 2 m (σ(p) − 0.5) + 1; authors' code, veugene/spectre_release geodesic_sgd.py @ fc3d4ee089, moves P and "
        "Q by a Cayley step of plain gradient descent, where here any optimiser moves the antisymmetric matrix of an exponential"
    )
    needs = "a cell whose state goes through a linear layer, square for each gate"
    invariant = "All singular values of each gate's recurrent matrix lie within 1 ± margin."
    margin: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise ValueError(
                f"SingularValueBand needs a margin between 0 and 1, got {self.margin}; OrthogonalConstraint is that of 0."
            )

    def require(self, weight: Tensor, gates: int, owner: str) -> None:
        """Raise a ValueError for gates that are not square."""
        units, read = len(weight) // gates, weight.shape[1]
        if units != read:
            raise ValueError(
                f"SingularValueBand needs gates of as many units as they read, got {owner} with {units} x {read}."
            )

    def constrain(self, module: nn.Module, name: str, stacked: Stacked) -> None:
        """Have the weight computed from p and what P and Q have turned by."""
        banded = _Banded(getattr(module, name), stacked, self.margin)
        parametrize.register_parametrization(module, name, banded)
