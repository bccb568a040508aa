r"""LSTM with coupled gates: what is forgotten makes room for what is written, by one gate.

    f, o = σ(W_f x + U_f h + b_f), σ(Wₒ x + Uₒ h + bₒ)
    g    = tanh(W_g x + U_g h + b_g)
    c ← f c + (1 − f) g
    h ← o tanh(c)

Why the gradient survives: along c a step back multiplies it by f alone, and b_f begins at 1, so f at 0.73. The more is
kept, the less can be written; c never leaves the range of tanh.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_glorot


@final
class CoupledLSTM(Cell):
    """LSTM whose input gate is what the forget gate leaves, 1 − f ("CIFG"), without peepholes.

    The paper has i and f = 1 − i; TensorFlow, followed here, has f and i = 1 − f. The 1 that it adds to f at every step
    is where b_f starts.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h` and of `c`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = CoupledLSTM(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, c = cell(x, cell.initial_state(x))
        >>> c.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Greff, Srivastava, Koutník, Steunebrink & Schmidhuber",
        2017,
        "LSTM: A Search Space Odyssey",
        "https://arxiv.org/abs/1503.04069",
        where='the variant "CIFG"',
    )
    checked = "code, tensorflow/tensorflow tensorflow/contrib/rnn/python/ops/rnn_cell.py @ 000474bf24"
    state_names = ("h", "c")
    gate_names = dict.fromkeys(("from_x", "from_h"), ("f", "g", "o"))
    keeps = Keeps("f", "c", called="forget", memory="cell")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 3 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        draw_glorot(3 * hidden_size, self.from_x, self.from_h)
        nn.init.ones_(self.from_x.bias[:hidden_size])

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, c = state
        f, g, o = (self.from_x(x) + self.from_h(h)).chunk(3, dim=-1)
        f = self.gate(f)
        c = f * c + (1 - f) * self.nonlinearity(g)
        h = self.gate(o) * self.nonlinearity(c)
        return h, c
