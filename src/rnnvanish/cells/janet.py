r"""JANET ("just another network"): an LSTM with nothing but its forget gate.

    s = W_s x + U_s h + b_s
    g = W_g x + U_g h + b_g
    h ← σ(s) h + (1 − σ(s − 1)) tanh(g)       written is more than what is forgotten leaves

Why the gradient survives: a step back multiplies it by σ(s), no matrix, beside the ways through the gate and g; b_s begins
at 1, so σ(s) at 0.73. The paper draws b_s for long memories, which `mitigations.Chrono` does.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_glorot


@final
class JANET(Cell):
    """Recurrent unit with a forget gate alone; its state is the LSTM's cell and output in one.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = JANET(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "van der Westhuizen & Lasenby",
        2018,
        "The Unreasonable Effectiveness of the Forget Gate",
        "https://arxiv.org/abs/1804.04849",
    )
    checked = "authors' code, JosvanderWesthuizen/janet aux_code/rnn_cells.py @ fa2f0a50e8"
    gate_names = dict.fromkeys(("from_x", "from_h"), ("s", "g"))
    keeps = Keeps("s", "h", called="forget")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        draw_glorot(2 * hidden_size, self.from_x)
        draw_glorot(2 * hidden_size, self.from_h)
        nn.init.ones_(self.from_x.bias[:hidden_size])

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        s, g = (self.from_x(x) + self.from_h(h)).chunk(2, dim=-1)
        return (self.gate(s) * h + (1 - self.gate(s - 1)) * self.nonlinearity(g),)
