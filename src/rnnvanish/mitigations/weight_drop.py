r"""Weight drop: in training some recurrent weights are left out of a whole run, for all steps and sequences alike.

    U  becomes  M U / (1 − p)        M: 0 with probability p, else 1; drawn once for each run of a layer

The state itself is left whole, so that no memory is worn away, however long the sequence.
"""

from dataclasses import dataclass
from typing import NoReturn, cast

from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils import parametrize

from rnnvanish.cell import Cell, Paper
from rnnvanish.mitigation import Build, innermost
from rnnvanish.mitigation.constraint import free_layers
from rnnvanish.recurrent import Recurrent


class _Dropped(nn.Module):
    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, weight: Tensor) -> Tensor:
        return dropout(weight, self.probability, self.training)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


@dataclass(frozen=True)
class WeightDrop(Build):
    """Drop recurrent weights in training, by a parametrization.

    Whoever reads such a weight in training draws a mask anew, and sees another one than the run had.

    Attributes:
        probability: Of dropping a weight.

    Raises:
        ValueError: For a probability outside [0, 1).

    Examples:
        >>> layer = WeightDrop(0.5)(nn.LSTM(2, 8))
        >>> bool((layer.weight_hh_l0 == 0).any()), bool((layer.eval().weight_hh_l0 == 0).any())
        (True, False)
    """

    paper = Paper(
        "Merity, Keskar & Socher",
        2018,
        "Regularizing and Optimizing LSTM Language Models",
        "https://arxiv.org/abs/1708.02182",
    )
    checked = "authors' code, salesforce/awd-lstm-lm weight_drop.py @ 15535c498b and main.py (wdrop 0.5)"
    needs = "a cell whose state goes through a linear layer, in a layer that runs over sequences"
    invariant = "In training a run has one mask, and a part of the weights of `probability` is 0; in evaluation it is the plain layer."
    probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.probability < 1:
            raise ValueError(f"WeightDrop needs a probability in [0, 1), got {self.probability}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Drop weights of the layers of each cell that multiply the state; of one that does not name them, of `from_h`.

        Raises:
            ValueError: For a cell without one, or with a constraint.
        """
        found = [each for cell in layer.cells for each in free_layers(innermost(cast(Cell, cell)), type(self).__name__)]
        for linear, _ in found:  # where one does not suit, none is changed
            parametrize.register_parametrization(linear, "weight", _Dropped(self.probability))
        return layer

    def _changed_step(self, name: str, module: nn.RNNCellBase) -> NoReturn:
        """Refuse: a step does not know where a run begins, and would draw another mask each time."""
        raise ValueError(
            f"WeightDrop draws a mask for a whole run, and {name}, of class {type(module).__name__}, is a step."
        )
