r"""A penalty on singular values outside of a band around 1, for the recurrent matrix of each gate.

    Ω = Σ max(|s − 1| − m, 0)²        over all singular values s

The soft form of `SingularValueBand`: a matrix may leave the band, at a price. With m = 0 every s is pulled to 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.cell import Paper
from rnnvanish.live import live_cells
from rnnvanish.mitigation import Penalty, innermost
from rnnvanish.mitigations.soft_orthogonality import gate_matrices


@dataclass(frozen=True)
class SingularValuePenalty(Penalty):
    """Add Ω, summed over gates and layers; it computes the singular values of each matrix at each step.

    Attributes:
        margin: m.
        weight: What Ω is multiplied by.

    Raises:
        ValueError: For a margin below 0.

    Examples:
        >>> layer = nn.RNN(2, 8)
        >>> _ = nn.init.orthogonal_(layer.weight_hh_l0, 1.3)
        >>> round(SingularValuePenalty(0.1).penalty(layer, None, torch.sum).item(), 4)
        0.32
    """

    paper = Paper(
        "Vorontsov, Trabelsi, Kadoury & Pal",
        2017,
        "On orthogonality and learning recurrent networks with long term dependencies",
        "https://arxiv.org/abs/1702.00071",
    )
    checked = (
        "authors' code, veugene/spectre_release penalties.py (constant_l2 around 1) @ fc3d4ee089, which has no margin; the "
        "paper's penalty on Uᵀ U − I is SoftOrthogonality"
    )
    invariant = "Trained on the penalty alone, the singular values of every recurrent matrix come into the band."
    needs = "a cell whose state goes through a linear layer"
    margin: float = 0.1
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.margin >= 0:
            raise ValueError(f"SingularValuePenalty needs a margin >= 0, got {self.margin}.")

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times Ω; `inputs` and `loss` have no part in it.

        Raises:
            ValueError: For a model without a recurrent matrix.
        """
        matrices = [matrix for cell in live_cells(model) for matrix in gate_matrices(innermost(cell))]
        if not matrices:
            raise ValueError(f"SingularValuePenalty needs {self.needs}, which {type(model).__name__} has not.")
        values = torch.cat([torch.linalg.svdvals(matrix) for matrix in matrices])
        return self.weight * torch.relu((values - 1).abs() - self.margin).square().sum()
