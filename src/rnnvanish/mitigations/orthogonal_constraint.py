r"""The recurrent matrix stays orthogonal while the network learns, one matrix for each gate.

    U = Q exp(A − Aᵀ)      Q orthogonal and fixed, A learnt without constraint

A step back multiplies the gradient by Uᵀ and by the slopes of the activation; Uᵀ now leaves its length alone.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from rnnvanish.cell import Paper
from rnnvanish.mitigation.constraint import Constraint, Stacked


@dataclass(frozen=True)
class OrthogonalConstraint(Constraint):
    """Keep the recurrent matrix of each gate orthogonal, by a parametrization.

    It starts at the orthogonal factor of the matrix that it finds, so draw weights before, not after. The matrix is
    computed once in each run of the layer. Slopes and gates still shrink the gradient.

    Examples:
        >>> import torch
        >>> layer = OrthogonalConstraint()(nn.RNN(2, 8))
        >>> u = layer.cells[0].from_h.weight
        >>> torch.allclose(u.T @ u, torch.eye(8), atol=1e-6)
        True
    """

    paper = Paper(
        "Lezcano-Casado & Martínez-Rubio",
        2019,
        "Cheap Orthogonal Constraints in Neural Networks: A Simple Parametrization of the Orthogonal and Unitary Group",
        "https://arxiv.org/abs/1901.08428",
    )
    checked = "torch.nn.utils.parametrizations.orthogonal, which has the paper's exponential around a fixed base"
    invariant = "Uᵀ U is the identity, to 1e-6 in every entry, for the recurrent matrix U of each gate."

    def require(self, weight: Tensor, gates: int, owner: str) -> None:
        """Raise a ValueError for gates that are wider than high: their columns can't be orthogonal."""
        units, read = len(weight) // gates, weight.shape[1]
        if units < read:
            raise ValueError(
                f"OrthogonalConstraint needs gates of at least as many units as they read, got {owner} with {units} x {read}."
            )

    def constrain(self, module: nn.Module, name: str, stacked: Stacked) -> None:
        """Keep the gates apart, each orthogonal, and have them stacked where the module reads them."""
        setattr(module, name, nn.Parameter(stacked.right_inverse(getattr(module, name).detach())))
        parametrizations.orthogonal(module, name)
        parametrize.register_parametrization(module, name, stacked, unsafe=True)  # it changes the shape
