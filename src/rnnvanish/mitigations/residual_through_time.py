r"""A residual connection through time: a step adds to the old state, and hardly takes from it.

    h ← σ(β) h + σ(α) step(x, h)        α and β learnt, one of each for a layer; they start at −3 and 3

A step back hands on 0.95 of the gradient past weights and slopes, and as long as α is small these add little.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper, innermost, wrap
from rnnvanish.recurrent import Recurrent


class _Residual(Wrapper):
    def __init__(self, cell: Cell) -> None:
        first = first_part(cell, "ResidualThroughTime")
        super().__init__(cell)
        self.alpha = nn.Parameter(first.new_tensor(-3.0))
        self.beta = nn.Parameter(first.new_tensor(3.0))

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        h, *rest = self.cell(x, state, **wanted)
        return (torch.sigmoid(self.beta) * state[0] + torch.sigmoid(self.alpha) * h, *rest)


@torch.no_grad()
def first_part(cell: Cell, title: str) -> Float[Tensor, "1 units"]:
    """The first part of a cell's first state; a ValueError, for `title`, where it is not one real number for each unit."""
    like = next(cell.parameters()).real
    first = innermost(cell).initial_state(like.new_zeros(1, cell.input_size))[0]
    if first.is_complex() or first.dim() != 2:
        raise ValueError(
            f"{title} needs a cell whose {cell.state_names[0]} is a real number for each unit, got {type(innermost(cell)).__name__}."
        )
    return first


@dataclass(frozen=True)
class ResidualThroughTime(Build):
    """Add the first part of the old state, h, to that of the new one, each times a learnt number between 0 and 1.

    In an LSTM it is h that is handed on so; its c has a way of its own. `SkipThroughTime` leaps farther, by a fixed number.

    Examples:
        >>> layer = ResidualThroughTime()(nn.RNN(2, 8))
    """

    paper = Paper(
        "Kusupati et al.",
        2018,
        "FastGRNN: A Fast, Accurate, Stable and Tiny Kilobyte Sized Gated Recurrent Neural Network",
        "https://arxiv.org/abs/1901.02358",
        where="its FastRNN, around any cell",
    )
    checked = (
        "authors' code, microsoft/EdgeML pytorch/edgeml_pytorch/graph/rnn.py @ 81025fce8b, as FastRNN in cells/fast.py"
    )
    needs = "a cell whose first part of the state is a real number for each unit"
    invariant = "The derivative of each h with respect to the one before contains sigmoid(beta) times one."

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell.

        Raises:
            ValueError: For a cell whose h is no real number for each unit.
        """
        return wrap(layer, _Residual)
