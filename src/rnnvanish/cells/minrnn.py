r"""Minimal GRU and minimal LSTM: gates that read the input alone, so that a step is linear in the state.

    minGRU                                  minLSTM
    n = g(Wₙ x + bₙ)                        n = g(Wₙ x + bₙ)
    z = σ(W_z x + b_z)                      f, i = σ(W_f x + b_f), σ(Wᵢ x + bᵢ)
    h ← (1 − z) h + z n                     h ← (f h + i n) / (f + i)

    with g(a) = a + 1/2 for a ≥ 0, σ(a) below, so that no state is negative: the authors' code, and their appendix; their
    text has n = Wₙ x + bₙ

Why the gradient survives: a step back multiplies it by 1 − z, or by f / (f + i), no matrix and no slope, and nothing
that depends on the state: what is lost is known from the input alone. At the default draw it is one half.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State

PAPER = Paper("Feng et al.", 2024, "Were RNNs All We Needed?", "https://arxiv.org/abs/2410.01201", where="section 3")
CODE = "authors' code, BorealisAI/minRNNs models/minRNNs.py @ ff52e9de9b: the cell, without its output projection"


def positive(a: Tensor) -> Tensor:
    """Squash what is negative into (0, 1/2), and add 1/2 to the rest."""
    return torch.where(a >= 0, a + 0.5, torch.sigmoid(a))


@final
class MinGRU(Cell):
    """Minimal gated recurrent unit.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.

    Examples:
        >>> cell = MinGRU(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = PAPER
    checked = CODE
    gate_names = {"from_x": ("n", "z")}
    keeps = Keeps("z", "h", called="update", closed=True)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        n, z = self.from_x(x).chunk(2, dim=-1)
        z = torch.sigmoid(z)
        return ((1 - z) * h + z * positive(n),)


@final
class MinLSTM(Cell):
    """Minimal long short-term memory.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.

    Examples:
        >>> cell = MinLSTM(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = PAPER
    checked = CODE
    gate_names = {"from_x": ("n", "f", "i")}
    keeps = Keeps("i", "h", called="input", closed=True)  # f alone keeps f / (f + i), however open

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 3 * hidden_size)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        n, f, i = self.from_x(x).chunk(3, dim=-1)
        f, i = torch.sigmoid(f), torch.sigmoid(i)
        return ((f * h + i * positive(n)) / (f + i),)
