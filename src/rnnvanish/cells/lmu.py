r"""Legendre memory unit: a window of the past, kept as the coefficients of polynomials, and a plain network that reads it.

    u = eₓ · x + eₕ · h + eₘ · m                one number is remembered
    m ← Ā m + B̄ u                               fixed: the window of the last θ steps of u, Legendre coefficients
    h ← tanh(Wₓ x + Wₕ h + Wₘ m)                reads the new m

Why the gradient survives: m is linear, and Ā gives u back for θ steps before it lets go: whatever h forgets is read
again from m. Why it may not: h alone is a plain network, and u is one number.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class LMU(Cell):
    """Legendre memory unit, as first published; the window is continuous, and held still for each step.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        order: Polynomials, width of `m`.
        theta: Length of the window, in steps.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> cell = LMU(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, m = cell(x, cell.initial_state(x))
        >>> h.shape, m.shape
        (torch.Size([4, 8]), torch.Size([4, 256]))
    """

    paper = Paper(
        "Voelker, Kajić & Eliasmith",
        2019,
        "Legendre Memory Units: Continuous-Time Representation in Recurrent Neural Networks",
        "https://proceedings.neurips.cc/paper/2019/hash/952285b9b7e7a1be5aa7849f32ffff05-Abstract.html",
        where="equations (1)-(7)",
    )
    checked = "authors' code, abr/neurips2019 lmu/lmu.py @ 28d1ea5b74; order and theta of its permuted MNIST"
    state_names = ("h", "m")
    gate_names = dict.fromkeys(("from_x", "from_h", "from_m"), ("h",))
    small = {"order": 3, "theta": 5.0}

    def __init__(
        self, input_size: int, hidden_size: int, order: int = 256, theta: float = 784.0, nonlinearity: str = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.order = order
        self.e_x = nn.Parameter(torch.empty(input_size).uniform_(-1, 1) * math.sqrt(3 / input_size))
        self.e_h = nn.Parameter(torch.empty(hidden_size).uniform_(-1, 1) * math.sqrt(3 / hidden_size))
        self.e_m = nn.Parameter(torch.zeros(order))
        self.from_x = nn.Linear(input_size, hidden_size, bias=False)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        self.from_m = nn.Linear(order, hidden_size, bias=False)
        for layer in (self.from_x, self.from_h, self.from_m):
            nn.init.xavier_normal_(layer.weight)
        i, j = torch.arange(order).double()[:, None], torch.arange(order)
        a = (2 * i + 1) / theta * torch.where(i < j, -1.0, (-1.0) ** (i - j + 1))
        b = (2 * i + 1) / theta * (-1.0) ** i
        held = torch.linalg.matrix_exp(nn.functional.pad(torch.cat([a, b], 1), (0, 0, 0, 1)))  # [Ā B̄; 0 1]
        self.register_buffer("a", held[:order, :order].to(self.e_x.dtype))
        self.register_buffer("b", held[:order, order].to(self.e_x.dtype))
        self.a: Tensor
        self.b: Tensor

    def initial_state(self, x: Inexact[Tensor, "batch input"]) -> State:
        """Return zeros."""
        return x.new_zeros(x.shape[0], self.hidden_size), x.new_zeros(x.shape[0], self.order)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, m = state
        u = x @ self.e_x + h @ self.e_h + m @ self.e_m
        m = m @ self.a.T + u[:, None] * self.b
        return self.nonlinearity(self.from_x(x) + self.from_h(h) + self.from_m(m)), m
