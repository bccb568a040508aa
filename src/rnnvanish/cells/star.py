r"""STAR, the stackable recurrent cell: one gate, and a candidate that reads the input alone.

    z = tanh(W_z x + b_z)
    f = W_f x + U_f h + b_f
    h ← tanh(σ(f) h + (1 − σ(f − 1)) z)

Why the gradient survives: a step back multiplies it by σ(f), and b_f is drawn for memories of up to `t_max` steps. The
tanh around the step takes a part each time, little while h is small; the same keeps gradients from growing upwards
through many layers, which is what the cell is for.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, draw_orthogonal


@final
class STAR(Cell):
    """Stackable recurrent cell, as its authors' code has it: the paper has no 1 in f − 1, and k = 1 − σ(f).

    All matrices begin orthogonal, b_f at log U(1, t_max), b_z at 0. No gate of it keeps the state as it is: the tanh
    around the step squashes it.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        t_max: The longest memory, in steps, that the biases of the gate are drawn for.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = STAR(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Turkoglu, D'Aronco, Wegner & Schindler",
        2021,
        "Gating Revisited: Deep Multi-layer RNNs That Can Be Trained",
        "https://arxiv.org/abs/1911.11033",
    )
    checked = "authors' code, 0zgur0/STAR_Network star.py @ b8030e5552"
    gate_names = {"from_x": ("z", "f"), "from_h": ("f",)}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        t_max: float = 784.0,
        nonlinearity: str = "tanh",
        gate_nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        draw_orthogonal(hidden_size, self.from_x, self.from_h)
        with torch.no_grad():
            self.from_x.bias[hidden_size:].uniform_(1, t_max).log_()

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        z, f = self.from_x(x).chunk(2, dim=-1)
        f = f + self.from_h(h)
        return (self.nonlinearity(self.gate(f) * h + (1 - self.gate(f - 1)) * self.nonlinearity(z)),)
