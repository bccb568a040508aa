r"""He initialisation: a rectifier throws half away, so its weights are drawn twice as large.

    Var W = 2 / ((1 + a²) inputs)       a: slope of the rectifier below zero, 0 for ReLU

Made for feed-forward layers. A recurrent state adds what comes from the input, drawn as large, at every step: it may
grow without end, which `Identity` and `NpRNN` avoid.
"""

from dataclasses import dataclass
from typing import final

from torch import nn

from rnnvanish.cell import Cell, Paper, gates
from rnnvanish.mitigation import MatrixDraw


@final
@dataclass(frozen=True, repr=False)
class He(MatrixDraw):
    """Draw the weights of a network of rectifiers (ReLU, leaky, parametric) by its number of inputs; biases stay.

    Examples:
        >>> layer = He()(nn.RNN(2, 8, nonlinearity="relu"))
    """

    paper = Paper(
        "He, Zhang, Ren & Sun",
        2015,
        "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet Classification",
        "https://arxiv.org/abs/1502.01852",
    )
    checked = "the paper's variance, by torch.nn.init.kaiming_normal_"
    needs = "rectifiers without gates, as nn.RNN(nonlinearity='relu') has"
    invariant = "At the start the weights have variance 2 / ((1 + a²) inputs) and mean 0; a: slope below zero."

    def __post_init__(self) -> None:
        if self.slope_gain:
            raise ValueError("He makes up for the slope of a rectifier already: leave slope_gain out.")
        super().__post_init__()

    def draw_matrices(self, cell: Cell) -> bool:
        """Draw input and recurrent weights."""
        slope = slope_below_zero(cell)
        if slope is None:
            return False
        blocks = (*gates(cell, "from_x.weight"), *gates(cell))
        for block in blocks:
            nn.init.kaiming_normal_(block, a=slope)
        return bool(blocks)


def slope_below_zero(cell: Cell) -> float | None:
    """Slope of a plain cell's rectifier below zero; None where it has none."""
    nonlinearity = cell.nonlinearity if cell.plain else None
    if isinstance(nonlinearity, nn.PReLU):
        return nonlinearity.weight.mean().item()
    if isinstance(nonlinearity, nn.LeakyReLU):
        return nonlinearity.negative_slope
    return 0.0 if isinstance(nonlinearity, nn.ReLU) else None


def is_rectifier(cell: Cell) -> bool:
    """Whether it is a plain cell of rectifiers."""
    return slope_below_zero(cell) is not None
