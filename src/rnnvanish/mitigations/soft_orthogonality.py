r"""Soft orthogonality: a penalty on recurrent matrices that are far from orthogonal, one matrix for each gate.

    Ω = Σ ‖Uᵀ U − I‖²        squared Frobenius norm; of a wide matrix ‖U Uᵀ − I‖²

An orthogonal matrix neither shortens nor lengthens what it multiplies; here the weights may leave it, at a price.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, recurrent_layers
from rnnvanish.live import live_cells
from rnnvanish.mitigation import Penalty, innermost


@dataclass(frozen=True)
class SoftOrthogonality(Penalty):
    """Add Ω, summed over gates and layers. Slopes and gates still shrink the gradient.

    Attributes:
        weight: What Ω is multiplied by.

    Examples:
        >>> layer = nn.RNN(2, 8)
        >>> _ = nn.init.orthogonal_(layer.weight_hh_l0)
        >>> bool(SoftOrthogonality().penalty(layer, None, torch.sum) < 1e-10)
        True
    """

    paper = Paper(
        "Bansal, Chen & Wang",
        2018,
        "Can We Gain More from Orthogonality Regularizations in Training Deep Networks?",
        "https://arxiv.org/abs/1810.09102",
        where="section 3.1",
    )
    checked = (
        "the formula as others quote the paper; authors' code, VITA-Group/Orthogonality-in-CNNs @ 99897ee, has the "
        "spectral norm in place of "
        "Frobenius' alone; that each gate has a matrix of its own is ours"
    )
    invariant = "Trained on the penalty alone, the singular values of every recurrent matrix come closer to 1."
    needs = "a cell whose state goes through a linear layer"
    weight: float = 1.0

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times Ω; `inputs` and `loss` have no part in it.

        Raises:
            ValueError: For a model without a recurrent matrix.
        """
        matrices = [matrix for cell in live_cells(model) for matrix in gate_matrices(innermost(cell))]
        if not matrices:
            raise ValueError(f"SoftOrthogonality needs {self.needs}, which {type(model).__name__} has not.")
        return self.weight * torch.stack([_distance(matrix) for matrix in matrices]).sum()


def gate_matrices(cell: Cell) -> list[Tensor]:
    """The matrices that multiply the state, one for each gate; of a cell that does not name its layers, `from_h`."""
    modules, found = dict(cell.named_modules()), list[Tensor]()
    for name, blocks in (recurrent_layers(cell) or {"from_h": ()}).items():
        linear = modules.get(name)
        if isinstance(linear, nn.Linear):
            rows, read = linear.weight.shape
            found += linear.weight.chunk(len(blocks) or max(1, rows // read))
    return found


def _distance(matrix: Tensor) -> Tensor:
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.mT
    gram = tall.mH @ tall
    distance: Tensor = (gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)).abs().square().sum()
    return distance
