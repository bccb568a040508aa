r"""Glorot (Xavier) initialisation: weights so large that a layer neither shrinks nor swells what passes through it.

    Var W = 2 / (inputs + outputs)      a compromise between forward (1 / inputs) and backward (1 / outputs)

A recurrent matrix has as many inputs as outputs, so that its variance is 1 / hidden: the spectral radius starts near 1,
against 0.58 of torch's own draw.
"""

from dataclasses import dataclass
from typing import final

from torch import nn

from rnnvanish.cell import Cell, Paper, gates
from rnnvanish.mitigation import MatrixDraw

DISTRIBUTIONS = {"uniform": nn.init.xavier_uniform_, "normal": nn.init.xavier_normal_}


@final
@dataclass(frozen=True, repr=False)
class Glorot(MatrixDraw):
    """Draw the weights of each gate by its number of inputs and outputs; biases stay.

    Args:
        distribution: "uniform" or "normal", both of the same variance.

    Examples:
        >>> layer = Glorot("normal")(nn.RNN(2, 8))
    """

    distribution: str = "uniform"

    paper = Paper(
        "Glorot & Bengio",
        2010,
        "Understanding the difficulty of training deep feedforward neural networks",
        "https://proceedings.mlr.press/v9/glorot10a.html",
    )
    checked = "the paper's equations, by torch.nn.init.xavier_normal_ and xavier_uniform_"
    needs = "weights that are parameters"
    invariant = "At the start the weights of each gate have variance 2 / (inputs + outputs) and mean 0."

    def __post_init__(self) -> None:
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(f"Glorot needs the distribution 'uniform' or 'normal', got {self.distribution!r}.")
        super().__post_init__()

    def draw_matrices(self, cell: Cell) -> bool:
        """Draw input and recurrent weights, gate by gate."""
        blocks = [block for layer in cell.gate_names for block in gates(cell, f"{layer}.weight")]
        for block in blocks:
            DISTRIBUTIONS[self.distribution](block)
        return bool(blocks)
