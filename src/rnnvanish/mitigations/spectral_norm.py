r"""Spectral normalisation: no direction of the state is stretched by the recurrent matrix, and one is kept.

    U = V / σ(V)        σ: the largest singular value; one for each gate

A plain network of it cannot make a gradient explode: a step back multiplies it by Uᵀ and by slopes of at most 1. What
the other directions lose is not given back.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rnnvanish.cell import Paper
from rnnvanish.mitigation.constraint import Constraint, Stacked


class _Divided(nn.Module):
    """Divides each gate's matrix by its largest singular value."""

    def __init__(self, stacked: Stacked) -> None:
        super().__init__()
        self.stacked = stacked

    def forward(self, weight: Tensor) -> Tensor:
        apart = self.stacked.right_inverse(weight)
        wide = apart.to(torch.promote_types(weight.dtype, torch.float32))  # of 16 bits there are no singular values
        norm = torch.linalg.matrix_norm(wide, ord=2, keepdim=True).clamp(min=torch.finfo(wide.dtype).tiny)
        return cast(Tensor, self.stacked((wide / norm).to(weight.dtype)))

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


@dataclass(frozen=True)
class SpectralNorm(Constraint):
    """Keep the largest singular value of each gate's recurrent matrix at 1, by a parametrization.

    The value is computed anew, and exactly, once in each run of the layer; in a user's own loop at each step.

    Examples:
        >>> layer = SpectralNorm()(nn.GRU(2, 8))
        >>> [round(torch.linalg.matrix_norm(u, 2).item(), 4) for u in layer.cells[0].from_h.weight.split(8)]
        [1.0, 1.0, 1.0]
    """

    paper = Paper(
        "Miyato, Kataoka, Koyama & Yoshida",
        2018,
        "Spectral Normalization for Generative Adversarial Networks",
        "https://arxiv.org/abs/1802.05957",
    )
    checked = (
        "torch.nn.utils.parametrizations.spectral_norm, which follows the value by a step of power iteration at each access in "
        "training, of all gates as one matrix: where a weight is read at each step it changes within a sequence"
    )
    needs = "a cell whose state goes through a linear layer"
    invariant = "The largest singular value of each gate's recurrent matrix is 1."

    def constrain(self, module: nn.Module, name: str, stacked: Stacked) -> None:
        """Have the weight divided, gate by gate."""
        parametrize.register_parametrization(module, name, _Divided(stacked))
