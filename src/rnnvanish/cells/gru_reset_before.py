r"""Gated recurrent unit as first published: the reset gate acts on the state, before the product.

    r, z = σ(W_r x + U_r h + b_r), σ(W_z x + U_z h + b_z)
    n    = tanh(Wₙ x + Uₙ (r h) + bₙ)
    h ← z h + (1 − z) n                       z keeps the old state

Why the gradient survives: where z is near 1 the state is handed on as it is. At the start z is about one half, and the
recurrent matrices are orthogonal: the way through n is shortened by its gates and slopes alone.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_orthogonal


@final
class GRUResetBefore(Cell):
    """Gated recurrent unit with its reset before the product; `torch.nn.GRU` has it after.

    Weights of the input begin in N(0, 0.01²), recurrent matrices orthogonal, as the paper says; biases, which it leaves
    out, at 0.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = GRUResetBefore(input_size=2, hidden_size=8)
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
        where="equations (5)-(8)",
    )
    checked = "the paper's words on its draw; code, keras-team/keras keras/src/layers/rnn/gru.py (reset_after=False) @ 3422977a5e"
    gate_names = {"from_x": ("r", "z", "n"), "from_h": ("r", "z"), "from_reset": ("n",)}
    keeps = Keeps("z", "h", called="update")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 3 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        self.from_reset = nn.Linear(hidden_size, hidden_size, bias=False)
        nn.init.normal_(self.from_x.weight, std=0.01)
        nn.init.zeros_(self.from_x.bias)
        draw_orthogonal(hidden_size, self.from_h, self.from_reset)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        xr, xz, xn = self.from_x(x).chunk(3, dim=-1)
        hr, hz = self.from_h(h).chunk(2, dim=-1)
        r = self.gate(xr + hr)
        z = self.gate(xz + hz)
        n = self.nonlinearity(xn + self.from_reset(r * h))
        return (z * h + (1 - z) * n,)
