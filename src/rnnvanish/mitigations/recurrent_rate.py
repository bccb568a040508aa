r"""A learning rate of their own for the recurrent weights.

    rate of U  =  factor · rate of all else

Weights that every step uses again add up what each step asks of them; where the gradient vanishes, next to nothing comes
from the early ones. A larger rate for U alone makes more of what little arrives, at the price of less steady training.
"""

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from rnnvanish.cell import Paper, recurrent_layers
from rnnvanish.live import live_cells
from rnnvanish.mitigation import Regime, innermost


@final
@dataclass(frozen=True)
class RecurrentRate(Regime):
    """Train the weights that multiply the state at a rate of their own; biases, input weights and read-out at the usual.

    Args:
        factor: What the rate is multiplied by.

    Raises:
        ValueError: For a factor that is not above 0, and for a model of which no recurrent weights are known.

    Examples:
        >>> import torch
        >>> model = nn.LSTM(2, 8)
        >>> optimizer = torch.optim.Adam(RecurrentRate(3.0).parameter_groups(model, lr=1e-3))
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.001, 0.003]
    """

    factor: float = 3.0

    paper = Paper(
        "LeCun, Bottou, Orr & Müller",
        1998,
        "Efficient BackProp",
        "https://doi.org/10.1007/3-540-49430-8_2",
        where="in section 4.7: a rate for each weight, larger where a weight is shared and in lower layers",
    )
    checked = (
        "the paper, which asks for a rate that grows with the square root of the connections that share a weight, and gives "
        "no factor for recurrent networks. Orthogonal networks do the opposite: expRNN's paper takes a tenth for the recurrent "
        "matrix (section 5)"
    )
    needs = "a cell that names the layers that read its state"
    usage = "optimizer = torch.optim.Adam({}.parameter_groups(model, lr=1e-3))"
    invariant = (
        "A step of plain gradient descent moves the recurrent weights by `factor` times what it would move them."
    )

    def __post_init__(self) -> None:
        if not (self.factor > 0 and math.isfinite(self.factor)):
            raise ValueError(f"RecurrentRate needs a factor > 0, got {self.factor}.")

    def rates(self, model: nn.Module) -> dict[Tensor, float]:
        """The weights that multiply a state: those of the layers that a cell names as reading it."""
        cells = [innermost(cell) for cell in live_cells(model)]
        found: dict[Tensor, float] = {
            weight: self.factor
            for cell in cells
            for layer in recurrent_layers(cell)
            for name, weight in cell.get_submodule(layer).named_parameters()
            if name != "bias"
        }
        if not found:
            kinds = ", ".join(sorted({type(cell).__name__ for cell in cells})) or "no recurrent layer"
            raise ValueError(f"RecurrentRate needs a cell that names the layers that read its state; got {kinds}.")
        return found
