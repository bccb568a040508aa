r"""Long short-term memory as it was in 1997: a cell that is only ever added to.

    i, o = σ(Wᵢ x + Uᵢ h + bᵢ), σ(Wₒ x + Uₒ h + bₒ)
    g    = 4 σ(W_g x + U_g h + b_g) − 2       from −2 to 2
    c ← c + i g
    h ← o (2 σ(c) − 1)                        from −1 to 1

Why the gradient survives: there is no forget gate. Along c a step back multiplies it by exactly 1, the "constant error
carousel", however long the sequence. The price: nothing is ever erased, so c drifts, and its squashing saturates.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, draw_uniform


@final
class LSTM1997(Cell):
    """Long short-term memory of 1997, without a forget gate.

    The paper cuts the gradient where it would leave a cell by its gates or its input; here it is whole. Weights and biases
    begin in U(-0.1, 0.1), the bias of the input gate at `input_bias`, as in the paper's adding task: against the drift of c.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h` and of `c`.
        input_bias: Where the bias of the input gate starts; the paper's tasks have −1 to −6.

    Examples:
        >>> cell = LSTM1997(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, c = cell(x, cell.initial_state(x))
        >>> c.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Hochreiter & Schmidhuber",
        1997,
        "Long Short-Term Memory",
        "https://doi.org/10.1162/neco.1997.9.8.1735",
        where="section 4 and appendix A.1",
    )
    checked = "the paper's text: squashing functions, the draw of its section 5.4; no code of the authors is known"
    state_names = ("h", "c")
    gate_names = dict.fromkeys(("from_x", "from_h"), ("i", "g", "o"))

    def __init__(self, input_size: int, hidden_size: int, input_bias: float = -3.0) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 3 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        draw_uniform(0.1, self.from_x, self.from_h)
        nn.init.constant_(self.from_x.bias[:hidden_size], input_bias)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, c = state
        i, g, o = (self.from_x(x) + self.from_h(h)).chunk(3, dim=-1)
        c = c + torch.sigmoid(i) * (4 * torch.sigmoid(g) - 2)
        h = torch.sigmoid(o) * (2 * torch.sigmoid(c) - 1)
        return h, c
