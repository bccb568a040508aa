r"""Undamped independent oscillators: each unit swings at a pace of its own, and only the input drives it.

    z ← z − Δt σ(c) (tanh(w y + V x + b) + α y)          w y unit by unit
    y ← y + Δt σ(c) z                                    the new z

Why the gradient survives: a step is a symplectic map of y and z, of determinant 1: it can be run backwards, and loses
nothing. What it does to a gradient is a turn in the plane of y and z, not a decay.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class UnICORNN(Cell):
    """Undamped independent controlled oscillatory recurrent network.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `y` and of `z`.
        dt: Size of a step.
        alpha: How hard an oscillator is pulled back. Both defaults are the authors' for permuted pixels of MNIST.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> cell = UnICORNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> y, z = cell(x, cell.initial_state(x))
        >>> y.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Rusch & Mishra",
        2021,
        "UnICORNN: A recurrent model for learning very long time dependencies",
        "https://arxiv.org/abs/2103.05487",
    )
    checked = "authors' code, tk-rusch/unicornn psMNIST/network.py and psMNIST/psMNIST_task.py @ 35b243d9ac"
    state_names = ("y", "z")
    gate_names = {"from_x": ("n",)}

    def __init__(
        self, input_size: int, hidden_size: int, dt: float = 0.19, alpha: float = 30.65, nonlinearity: str = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.dt, self.alpha = dt, alpha
        self.from_x = nn.Linear(input_size, hidden_size)
        nn.init.kaiming_uniform_(self.from_x.weight, a=8)
        nn.init.zeros_(self.from_x.bias)
        self.w = nn.Parameter(torch.empty(hidden_size).uniform_(0, 1))
        self.c = nn.Parameter(torch.empty(hidden_size).uniform_(-0.1, 0.1))

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        y, z = state
        dt = self.dt * torch.sigmoid(self.c)
        z = z - dt * (self.nonlinearity(self.w * y + self.from_x(x)) + self.alpha * y)
        y = y + dt * z
        return y, z
