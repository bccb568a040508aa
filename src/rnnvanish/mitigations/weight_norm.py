r"""Weight normalisation: the length of each unit's weights is a number of its own, and training turns them.

    w = g v / ‖v‖        for each row of W and U; g and v are learnt

A gradient never points along w, so v only grows, and steps become shorter by themselves. What the matrix does to a
gradient, its singular values, it does not hold.
"""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from rnnvanish.cell import Cell, Paper
from rnnvanish.mitigation import innermost
from rnnvanish.mitigation.constraint import Constraint, Stacked
from rnnvanish.mitigations.layer_normalisation import plain_layers
from rnnvanish.recurrent import Recurrent


@dataclass(frozen=True)
class WeightNorm(Constraint):
    """Split the weights of each unit into length and direction, by torch's parametrization; at first they are the same.

    Examples:
        >>> from torch import nn
        >>> layer = WeightNorm()(nn.GRU(2, 8))
        >>> layer.cells[0].from_h.parametrizations.weight.original0.shape
        torch.Size([24, 1])
    """

    paper = Paper(
        "Salimans & Kingma",
        2016,
        "Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Neural Networks",
        "https://arxiv.org/abs/1602.07868",
    )
    checked = "torch.nn.utils.parametrizations.weight_norm, which it is; the paper's start from data is left out"
    needs = "a cell that names its linear layers"
    invariant = "Scaling v changes no output; the length of each row of weights is its g."

    def build(self, layer: Recurrent) -> Recurrent:
        """Split the layers of each cell; of one that does not name them, `from_x` and `from_h`.

        Raises:
            ValueError: For a cell without them, with constrained ones, or with a row of zeros, which has no direction.
        """
        found = [
            each for cell in layer.cells for each in plain_layers(innermost(cast(Cell, cell)), type(self).__name__)
        ]
        for cell, name, plain in found:  # where one does not suit, none is changed
            self.require(plain.weight, 1, f"{name} of {type(cell).__name__}")
        for _, _, plain in found:
            parametrizations.weight_norm(plain)
        return layer

    def require(self, weight: Tensor, gates: int, owner: str) -> None:
        """Raise a ValueError for a row of zeros."""
        if not weight.any(1).all():
            raise ValueError(f"WeightNorm needs weights that have a direction, got a row of zeros in {owner}.")

    def constrain(self, module: nn.Module, name: str, stacked: Stacked) -> None:
        """Split the weight into the length and the direction of its rows."""
        parametrizations.weight_norm(module, name)
