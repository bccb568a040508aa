r"""Recurrent additive network: its memory is a weighted sum of what was read, and nothing else.

    i = σ(Wᵢ x + Uᵢ h + bᵢ)
    f = σ(W_f x + U_f h + b_f)
    c ← f c + i (W x)                         linear: no squashing, no state in what is written
    h ← tanh(c)

Why the gradient survives: along c a step back multiplies it by f alone; the state acts through the gates and in no other
way. At the start f is one half.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_uniform


@final
class RAN(Cell):
    """Recurrent additive network. Weights begin in U(-0.05, 0.05), biases at 0; W x has no bias.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h` and of `c`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = RAN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, c = cell(x, cell.initial_state(x))
        >>> c.shape
        torch.Size([4, 8])
    """

    paper = Paper("Lee, Levy & Zettlemoyer", 2017, "Recurrent Additive Networks", "https://arxiv.org/abs/1705.07393")
    checked = "authors' code, kentonl/ran ran.py and ptb/ptb_word_lm.py (tanh_medium) @ bcee2c8063"
    state_names = ("h", "c")
    gate_names = {"from_x": ("i", "f", "g"), "from_h": ("i", "f")}
    keeps = Keeps("f", "c", called="forget", memory="cell", writes="i")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 3 * hidden_size, bias=False)
        self.from_h = nn.Linear(hidden_size, 2 * hidden_size)
        draw_uniform(0.05, self.from_x, self.from_h)
        nn.init.zeros_(self.from_h.bias)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, c = state
        xi, xf, g = self.from_x(x).chunk(3, dim=-1)
        hi, hf = self.from_h(h).chunk(2, dim=-1)
        c = self.gate(xf + hf) * c + self.gate(xi + hi) * g
        return self.nonlinearity(c), c
