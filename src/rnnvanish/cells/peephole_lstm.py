r"""LSTM with peepholes: each gate sees its own cell.

    i, f = σ(Wᵢ x + Uᵢ h + pᵢ c + bᵢ), σ(W_f x + U_f h + p_f c + b_f)      the old c
    c ← f c + i tanh(W_g x + U_g h + b_g)
    o = σ(Wₒ x + Uₒ h + pₒ c + bₒ)                                         the new c
    h ← o tanh(c)

Why the gradient survives: along c a step back multiplies it by f, as in any LSTM; b_f begins at 1. The peepholes add two
ways of their own, by the slopes of i and f, which are small where the gates are open or shut.
"""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_glorot


@final
class PeepholeLSTM(Cell):
    """LSTM whose gates read the cell by a weight for each unit, in the form of Graves (2013).

    Drawn as TensorFlow does; the 1 that it adds to f at every step is where b_f starts.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h` and of `c`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = PeepholeLSTM(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, c = cell(x, cell.initial_state(x))
        >>> c.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Gers, Schraudolph & Schmidhuber",
        2002,
        "Learning Precise Timing with LSTM Recurrent Networks",
        "https://www.jmlr.org/papers/v3/gers02a.html",
        where="with the output squashed, as in equations (7)-(11) of Graves (2013), https://arxiv.org/abs/1308.0850",
    )
    checked = "code, tensorflow/tensorflow tensorflow/python/keras/layers/legacy_rnn/rnn_cell_impl.py @ 0e70173c5f"
    state_names = ("h", "c")
    gate_names = dict.fromkeys(("from_x", "from_h"), ("i", "f", "g", "o"))
    keeps = Keeps("f", "c", called="forget", memory="cell", writes="i")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 4 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        draw_glorot(4 * hidden_size, self.from_x, self.from_h)
        nn.init.ones_(self.from_x.bias[hidden_size : 2 * hidden_size])
        self.peepholes = nn.Parameter(torch.empty(3, hidden_size))
        bound = math.sqrt(3 / hidden_size)
        nn.init.uniform_(self.peepholes, -bound, bound)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, c = state
        i, f, g, o = (self.from_x(x) + self.from_h(h)).chunk(4, dim=-1)
        to_i, to_f, to_o = self.peepholes
        i = self.gate(i + to_i * c)
        f = self.gate(f + to_f * c)
        c = f * c + i * self.nonlinearity(g)
        h = self.gate(o + to_o * c) * self.nonlinearity(c)
        return h, c
