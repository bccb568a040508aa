r"""UR-LSTM: a forget gate that starts uniform, and a second gate that lets it come close to 0 and 1.

    f, r, o = σ(W_f x + U_f h + b_f), σ(W_r x + U_r h + b_r), σ(Wₒ x + Uₒ h + bₒ)
    u       = tanh(W_u x + U_u h + b_u)
    g = r (1 − (1 − f)²) + (1 − r) f²         the refined gate, from f² to 1 − (1 − f)²
    c ← g c + (1 − g) u
    h ← o tanh(c)

Why the gradient survives: along c a step back multiplies it by g alone. The biases of f are drawn so that f is uniform
over the units: some forget at once, some remember for as many steps as there are units. Near 1 the slope of g does not
die as that of a sigmoid does: r can still move it.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, draw_as_torch


@final
class URLSTM(Cell):
    """LSTM with a uniform, refined forget gate; what it does not keep is written, there is no input gate.

    Of no input and state f starts in U(1/H, 1 - 1/H), r at 1 - f, by their biases; all else is drawn as in `torch.nn.LSTM`.
    No block of its weights makes the gate that keeps the cell, g: it is refined of two.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h` and of `c`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = URLSTM(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, c = cell(x, cell.initial_state(x))
        >>> c.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Gu, Gulcehre, Paine, Hoffman & Pascanu",
        2020,
        "Improving the Gating Mechanism of Recurrent Neural Networks",
        "https://arxiv.org/abs/1910.09890",
        where="equations (9)-(12)",
    )
    checked = (
        "the paper's equations (9)-(12) as quoted by others; the gate, HazyResearch/state-spaces src/models/nn/gate.py @ "
        "307f11bba8; the authors gave no code of the cell"
    )
    state_names = ("h", "c")
    gate_names = dict.fromkeys(("from_x", "from_h"), ("f", "r", "u", "o"))

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 4 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        draw_as_torch(hidden_size, self.from_x, self.from_h)
        least = 1 / max(hidden_size, 2)
        with torch.no_grad():
            forget = self.from_x.bias[:hidden_size].uniform_(least, 1 - least).logit_()
            self.from_x.bias[hidden_size : 2 * hidden_size] = -forget

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, c = state
        f, r, u, o = (self.from_x(x) + self.from_h(h)).chunk(4, dim=-1)
        f, r = self.gate(f), self.gate(r)
        g = r * (1 - (1 - f) ** 2) + (1 - r) * f**2
        c = g * c + (1 - g) * self.nonlinearity(u)
        h = self.gate(o) * self.nonlinearity(c)
        return h, c
