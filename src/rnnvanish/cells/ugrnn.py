r"""Update gate RNN: a plain recurrent network, and one gate that says how much of the old state to keep.

    g = σ(W_g x + U_g h + b_g)
    n = tanh(Wₙ x + Uₙ h + bₙ)
    h ← g h + (1 − g) n                       g keeps the old state

Why the gradient survives: where g is near 1 the state is handed on as it is. b_g begins at 1, so g at 0.73.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_glorot


@final
class UGRNN(Cell):
    """Update gate RNN; the 1 that its authors add to the gate at every step is where b_g starts.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = UGRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Collins, Sohl-Dickstein & Sussillo",
        2017,
        "Capacity and Trainability in Recurrent Neural Networks",
        "https://arxiv.org/abs/1611.09913",
    )
    checked = "authors' code, tensorflow/tensorflow tensorflow/contrib/rnn/python/ops/rnn_cell.py @ 9aca4c62e8"
    gate_names = dict.fromkeys(("from_x", "from_h"), ("g", "n"))
    keeps = Keeps("g", "h", called="update")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        draw_glorot(2 * hidden_size, self.from_x, self.from_h)
        nn.init.ones_(self.from_x.bias[:hidden_size])

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        g, n = (self.from_x(x) + self.from_h(h)).chunk(2, dim=-1)
        g = self.gate(g)
        return (g * h + (1 - g) * self.nonlinearity(n),)
