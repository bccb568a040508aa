r"""Minimal gated unit: a GRU whose two gates are one.

    f = σ(W_f x + U_f h + b_f)
    n = tanh(Wₙ x + Uₙ (f h) + bₙ)
    h ← (1 − f) h + f n                       f writes: where it is 0 the old state stays

Why the gradient survives: where f is near 0 the state is handed on as it is. The same f also says how much of the state
the candidate sees, so a unit that remembers does not look.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_as_torch


@final
class MGU(Cell):
    """Minimal gated unit, drawn as torch's layers are.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = MGU(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Zhou, Wu, Zhang & Zhou",
        2016,
        "Minimal Gated Unit for Recurrent Neural Networks",
        "https://arxiv.org/abs/1603.09420",
    )
    checked = "three collections' transcriptions of the paper's equations, which agree; no code of the authors is known"
    gate_names = {"from_x": ("f", "n"), "from_h": ("f",), "from_forgotten": ("n",)}
    keeps = Keeps("f", "h", called="forget", closed=True)

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        self.from_forgotten = nn.Linear(hidden_size, hidden_size, bias=False)
        draw_as_torch(hidden_size, self.from_x, self.from_h, self.from_forgotten)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        xf, xn = self.from_x(x).chunk(2, dim=-1)
        f = self.gate(xf + self.from_h(h))
        n = self.nonlinearity(xn + self.from_forgotten(f * h))
        return ((1 - f) * h + f * n,)
