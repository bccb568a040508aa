r"""MinimalRNN: the input is mapped to where the states live, and one gate mixes the two.

    z = tanh(W x + b_z)
    u = σ(U_h h + U_z z + b_u)
    h ← u h + (1 − u) z                       u keeps the old state

Why the gradient survives: where u is near 1 the state is handed on as it is, and no candidate reads the state: the only
other way back is through u itself. At the start u is about one half.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_as_torch


@final
class MinimalRNN(Cell):
    """MinimalRNN, its map of the input one layer; drawn as torch's layers are.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = MinimalRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Chen",
        2017,
        "MinimalRNN: Toward More Interpretable and Trainable Recurrent Neural Networks",
        "https://arxiv.org/abs/1711.06788",
    )
    checked = "three collections' transcriptions of the paper's equations, which agree; no code of the author is known"
    gate_names = {"from_x": ("z",), "from_h": ("u",)}
    keeps = Keeps("u", "h", called="update")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size)
        self.from_z = nn.Parameter(torch.empty(hidden_size, hidden_size))
        draw_as_torch(hidden_size, self)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        z = self.nonlinearity(self.from_x(x))
        u = self.gate(self.from_h(h) + linear(z, self.from_z))
        return (u * h + (1 - u) * z,)
