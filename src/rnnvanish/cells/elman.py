r"""The plain recurrent network: the new state is a squashed mix of the input and the old state.

    h ← φ(W x + b + U h + c)

Why the gradient dies: a step back in time multiplies it by Uᵀ diag(φ′). The slope φ′ is at most 1 (tanh, ReLU) or
1/4 (sigmoid), and the default draw of U has singular values around one half: both factors shrink, at every step.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, draw_as_torch


@final
class Elman(Cell):
    """Simple recurrent network; with tanh or ReLU it is `torch.nn.RNN`.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        bias: Whether to add biases, two of them as in `torch.nn.RNN`.

    Examples:
        >>> import torch
        >>> cell = Elman(input_size=2, hidden_size=8, nonlinearity="prelu")
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper("Elman", 1990, "Finding Structure in Time", "https://doi.org/10.1207/s15516709cog1402_1")
    checked = "torch.nn.RNN, whose equations and draw it has; the paper gives its network as a figure"
    state_names = ("h",)
    gate_names = dict.fromkeys(("from_x", "from_h"), ("h",))
    plain = True
    torch_twin = nn.RNN

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, hidden_size, bias)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias)
        self.nonlinearity = self.activation(nonlinearity)
        draw_as_torch(hidden_size, self.from_x, self.from_h)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        return (self.nonlinearity(self.from_x(x) + self.from_h(h)),)
