r"""Gated recurrent unit: one gate decides between the old state and a new one.

    r, z = σ(W_r x + U_r h + …), σ(W_z x + U_z h + …)
    n    = tanh(Wₙ x + bₙ + r (Uₙ h + cₙ))      the reset acts after the product, as in torch.nn.GRU
    h ← (1 − z) n + z h                         z keeps the old state; other texts swap z and 1 − z

Why the gradient survives: where z is near 1 the state is handed on as it is. Why it often does not: at the default
draw z is about one half.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_as_torch


@final
class GRU(Cell):
    """Gated recurrent unit: the equations and the gate order of `torch.nn.GRU`.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        bias: Whether to add biases, two of them as in `torch.nn.GRU`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = GRU(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Cho et al.",
        2014,
        "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
        "https://arxiv.org/abs/1406.1078",
        where="equations (5)-(8), with the reset gate after the product",
    )
    checked = "torch.nn.GRU, whose equations and draw it has"
    state_names = ("h",)
    gate_names = dict.fromkeys(("from_x", "from_h"), ("r", "z", "n"))
    keeps = Keeps("z", "h", called="update")
    torch_twin = nn.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        gate_nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 3 * hidden_size, bias)
        self.from_h = nn.Linear(hidden_size, 3 * hidden_size, bias)
        draw_as_torch(hidden_size, self.from_x, self.from_h)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        xr, xz, xn = self.from_x(x).chunk(3, dim=-1)
        hr, hz, hn = self.from_h(h).chunk(3, dim=-1)
        r = self.gate(xr + hr)
        z = self.gate(xz + hz)
        n = self.nonlinearity(xn + r * hn)
        return ((1 - z) * n + z * h,)
