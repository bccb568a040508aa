r"""Independently recurrent network: a unit reads itself alone, by one number instead of a matrix.

    h ← ReLU(W x + b + u h)          u h unit by unit

Why the gradient survives: a step back multiplies that of a unit by u where it is above zero, and by nothing else. A
unit with u near 1 remembers long; |u| at most 2^(1/T) keeps that of T steps below 2. Why it often does not: u starts
anywhere from 0 to 1, and a unit at zero hands on nothing.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class IndRNN(Cell):
    """Recurrent network of units that do not read each other.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        bound: The largest |u|, such as 2^(1/T) for sequences of T steps: u is drawn from 0 to it, and used as if it were
            there where training takes it beyond. None draws from 0 to 1 and bounds nothing, as the authors' cell does.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> cell = IndRNN(input_size=2, hidden_size=8, bound=2 ** (1 / 100))
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Li, Li, Cook, Zhu & Gao",
        2018,
        "Independently Recurrent Neural Network (IndRNN): Building A Longer and Deeper RNN",
        "https://arxiv.org/abs/1803.04831",
        where="equation (2)",
    )
    checked = "authors' code, Sunnydreamrain/IndRNN_pytorch IndRNN_onlyrecurrent.py and Indrnn_plainnet.py @ 9b9cb4cd6b"
    gate_names = {"from_x": ("h",)}

    def __init__(
        self, input_size: int, hidden_size: int, bound: float | None = None, nonlinearity: str = "relu"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        if bound is not None and bound <= 0:
            raise ValueError(f"IndRNN needs a bound above 0, or None, got {bound}.")
        self.bound = bound
        self.from_x = nn.Linear(input_size, hidden_size)
        self.u = nn.Parameter(torch.empty(hidden_size).uniform_(0, 1 if bound is None else bound))
        nn.init.kaiming_uniform_(self.from_x.weight, a=8)
        nn.init.zeros_(self.from_x.bias)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        u = self.u if self.bound is None else self.u.clamp(-self.bound, self.bound)
        return (self.nonlinearity(self.from_x(x) + u * h),)
