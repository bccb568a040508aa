r"""Bistable recurrent cells: each unit feeds itself so strongly that it may stay in one of two states.

    a = 1 + tanh(W_a x + w_a h + b_a)         how strongly, from 0 to 2; above 1 there are two states
    c = σ(W_c x + w_c h + b_c)
    h ← c h + (1 − c) tanh(W x + a h)         c keeps the old state

In the BRC w_a and w_c are a number for each unit: no unit hears of another. In the nBRC ("neuromodulated") they are
matrices: other units set a and c, and still none of them is read by the candidate.

Why the gradient survives: c near 1 hands it on as it is; and with c small, a unit that stands in one of its two states
is held there, though the slope at that state is below 1. Between the two states it grows.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_glorot

PAPER = Paper(
    "Vecoven, Ernst & Drion",
    2021,
    "A bio-inspired bistable recurrent cell allows for long-lasting memory",
    "https://arxiv.org/abs/2006.05252",
)
CHECKED = "authors' code, nvecoven/BRC cells/cells.py @ 1b99539394, whose candidate has no bias"


@final
class BRC(Cell):
    """Bistable recurrent cell: its units are independent.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = BRC(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = PAPER
    checked = CHECKED
    gate_names = {"from_x": ("a", "c"), "from_x_to_n": ("n",)}
    keeps = Keeps("c", "h", called="update")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.from_x_to_n = nn.Linear(input_size, hidden_size, bias=False)
        self.memory_a = nn.Parameter(torch.ones(hidden_size))
        self.memory_c = nn.Parameter(torch.ones(hidden_size))
        draw_glorot(hidden_size, self.from_x)
        draw_glorot(hidden_size, self.from_x_to_n)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        a, c = self.from_x(x).chunk(2, dim=-1)
        a = 1 + torch.tanh(a + self.memory_a * h)
        c = self.gate(c + self.memory_c * h)
        return (c * h + (1 - c) * self.nonlinearity(self.from_x_to_n(x) + a * h),)


@final
class NBRC(Cell):
    """Bistable recurrent cell with recurrent neuromodulation ("nBRC"): its gates read all units.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = NBRC(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = PAPER
    checked = CHECKED
    gate_names = {"from_x": ("a", "c", "n"), "from_h": ("a", "c")}
    keeps = Keeps("c", "h", called="update")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 3 * hidden_size, bias=False)
        self.from_h = nn.Linear(hidden_size, 2 * hidden_size)
        draw_glorot(hidden_size, self.from_x)
        draw_glorot(hidden_size, self.from_h)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        xa, xc, xn = self.from_x(x).chunk(3, dim=-1)
        ha, hc = self.from_h(h).chunk(2, dim=-1)
        a = 1 + torch.tanh(xa + ha)
        c = self.gate(xc + hc)
        return (c * h + (1 - c) * self.nonlinearity(xn + a * h),)
