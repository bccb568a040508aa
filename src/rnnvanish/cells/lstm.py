r"""Long short-term memory: a cell that is added to, and a gate that says how much of it to keep.

    i, f, o = σ(Wᵢ x + Uᵢ h + …), σ(W_f x + U_f h + …), σ(Wₒ x + Uₒ h + …)
    g       = tanh(W_g x + U_g h + …)
    c ← f c + i g
    h ← o tanh(c)

Why the gradient survives: along c a step back multiplies it by the forget gate f alone, no matrix and no slope. Why
it often does not: at the default draw f is about one half, so half of the gradient is gone after a single step. An
open gate (a positive bias of f) is what makes the memory long.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_as_torch


@final
class LSTM(Cell):
    """Long short-term memory with a forget gate: the equations and the gate order of `torch.nn.LSTM`.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h` and of `c`.
        bias: Whether to add biases, two of them as in `torch.nn.LSTM`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = LSTM(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, c = cell(x, cell.initial_state(x))
        >>> c.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Gers, Schmidhuber & Cummins",
        2000,
        "Learning to Forget: Continual Prediction with LSTM",
        "https://doi.org/10.1162/089976600300015015",
        where="the LSTM of Hochreiter & Schmidhuber (1997), with a forget gate",
    )
    checked = "torch.nn.LSTM, whose equations and draw it has"
    state_names = ("h", "c")
    gate_names = dict.fromkeys(("from_x", "from_h"), ("i", "f", "g", "o"))
    keeps = Keeps("f", "c", called="forget", memory="cell", writes="i")
    torch_twin = nn.LSTM

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
        self.from_x = nn.Linear(input_size, 4 * hidden_size, bias)
        self.from_h = nn.Linear(hidden_size, 4 * hidden_size, bias)
        draw_as_torch(hidden_size, self.from_x, self.from_h)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, c = state
        i, f, g, o = (self.from_x(x) + self.from_h(h)).chunk(4, dim=-1)
        c = self.gate(f) * c + self.gate(i) * self.nonlinearity(g)
        h = self.gate(o) * self.nonlinearity(c)
        return h, c
