r"""The recurrent matrix stays orthogonal while the network learns, one matrix for each gate.

    U = Q exp(A − Aᵀ)      Q orthogonal and fixed, A learnt without constraint

A step back multiplies the gradient by Uᵀ and by the slopes of the activation; Uᵀ now leaves its length alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from rnnvanish.cell import Cell, Paper, recurrent_layers
from rnnvanish.mitigation import Build, innermost
from rnnvanish.recurrent import Recurrent


class Stacked(nn.Module):
    """Gates that are kept apart, (gates, units, read), as cells read them: (gates * units, read); and the inverse."""

    def __init__(self, gates: int) -> None:
        super().__init__()
        self.gates = gates

    def forward(self, apart: Tensor) -> Tensor:
        """Join the gates."""
        return apart.flatten(0, 1)

    def right_inverse(self, stacked: Tensor) -> Tensor:
        """Take them apart."""
        return stacked.reshape(self.gates, -1, stacked.shape[1])


@dataclass(frozen=True)
class OrthogonalConstraint(Build):
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

    def build(self, layer: Recurrent) -> Recurrent:
        """Constrain the layers of each cell that multiply the state; of one that does not name them, `from_h`.

        Raises:
            ValueError: For a cell without one.
        """
        found = [each for cell in layer.cells for each in _tall_layers(innermost(cast(Cell, cell)))]
        for linear, stacked in found:  # where one does not suit, none is changed
            linear.weight = nn.Parameter(stacked.right_inverse(linear.weight.detach()))
            parametrizations.orthogonal(linear)
            parametrize.register_parametrization(linear, "weight", stacked, unsafe=True)  # it changes the shape
        return layer


def _tall_layers(cell: Cell) -> Iterator[tuple[nn.Linear, Stacked]]:
    for linear, stacked in free_layers(cell, "OrthogonalConstraint"):
        rows, read = linear.weight.shape
        if rows < stacked.gates * read:
            raise ValueError(
                f"OrthogonalConstraint needs gates of at least as many units as they read, got {type(cell).__name__} with "
                f"{rows // stacked.gates} x {read}."
            )
        yield linear, stacked


def free_layers(cell: Cell, title: str) -> Iterator[tuple[nn.Linear, Stacked]]:
    """The layers of a cell that can be constrained, with their gates; a ValueError, for `title`, where one cannot."""
    for name, blocks in (recurrent_layers(cell) or {"from_h": ()}).items():
        linear = dict(cell.named_modules()).get(name)
        if not isinstance(linear, nn.Linear):
            raise ValueError(
                f"{title} needs a cell whose state goes through a linear layer, got {type(cell).__name__}."
            )
        if parametrize.is_parametrized(linear, "weight"):
            raise ValueError(f"{title} needs a recurrent matrix without a constraint: it has one.")
        rows, read = linear.weight.shape
        stacked = Stacked(len(blocks) or rows // read)
        if rows % stacked.gates:
            raise ValueError(f"{title} needs gates of as many units each, got {name} of {type(cell).__name__}.")
        yield linear, stacked
