r"""Ordered neurons: an LSTM whose units stand in a row, and to whose left all is written and to whose right all is kept.

    ĩ  = 1 − cumsum(softmax(Wᵢ′ x + Uᵢ′ h + …))          master gates, one number for a chunk of units:
    f̃  = cumsum(softmax(W_f′ x + U_f′ h + …))            ĩ falls from left to right, f̃ rises
    o, i, f = σ(Wₒ x + Uₒ h + …), σ(Wᵢ x + Uᵢ h + …), σ(W_f x + U_f h + …)
    g  = tanh(W_g x + U_g h + …)
    ω  = f̃ ĩ                                             where the two overlap the LSTM's own gates decide
    c ← (f ω + f̃ − ω) c + (i ω + ĩ − ω) g
    h ← o tanh(c)

Why the gradient survives: to the right, where f̃ is near 1 and ĩ near 0, c is handed on as it is, whatever f says. Units
on the left are written anew instead. At the draw both gates change evenly over the row, so half of c is lost.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class ONLSTM(Cell):
    """LSTM with ordered neurons.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h` and of `c`.
        chunk_size: Units that share the numbers of the master gates; the last chunk may have fewer.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Raises:
        ValueError: Where there is one chunk alone: it would never be written.

    Examples:
        >>> cell = ONLSTM(input_size=2, hidden_size=8, chunk_size=2)
        >>> x = torch.zeros(4, 2)
        >>> h, c = cell(x, cell.initial_state(x))
        >>> c.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Shen et al.",
        2019,
        "Ordered Neurons: Integrating Tree Structures into Recurrent Neural Networks",
        "https://arxiv.org/abs/1810.09536",
        where="section 4",
    )
    checked = "authors' code, yikangshen/Ordered-Neurons ON_LSTM.py and main.py @ 04531c4da9, without DropConnect"
    state_names = ("h", "c")
    gate_names = dict.fromkeys(("from_x", "from_h"), ("o", "g", "i", "f"))
    small = {"chunk_size": 2}
    chunk: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        chunk_size: int = 10,
        nonlinearity: str = "tanh",
        gate_nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        if not 1 <= chunk_size < hidden_size:
            raise ValueError(
                f"ONLSTM needs a chunk_size >= 1, less than its hidden size {hidden_size}, got {chunk_size}."
            )
        chunks = -(-hidden_size // chunk_size)
        self.from_x = nn.Linear(input_size, 4 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 4 * hidden_size)
        self.master_from_x = nn.Linear(input_size, 2 * chunks)
        self.master_from_h = nn.Linear(hidden_size, 2 * chunks)
        self.register_buffer("chunk", torch.arange(hidden_size) // chunk_size, persistent=False)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, c = state
        masters = (self.master_from_x(x) + self.master_from_h(h)).chunk(2, dim=-1)
        wide_i, wide_f = (torch.softmax(each, dim=-1).cumsum(dim=-1)[:, self.chunk] for each in masters)
        wide_i = 1 - wide_i
        o, g, i, f = (self.from_x(x) + self.from_h(h)).chunk(4, dim=-1)
        both = wide_f * wide_i
        f = self.gate(f) * both + wide_f - both
        i = self.gate(i) * both + wide_i - both
        c = f * c + i * self.nonlinearity(g)
        return self.gate(o) * self.nonlinearity(c), c
