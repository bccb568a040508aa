r"""Chaos-free network: two gates, no candidate that reads the state, and so no chaos.

    θ = σ(V_θ x + U_θ h + b_θ)
    η = σ(V_η x + U_η h + b_η)
    h ← θ tanh(h) + η tanh(W x)

Why the gradient dies: without input the only place where the state can rest is 0; every unit is drawn there. A step back
multiplies by θ (1 − tanh² h), below 1 even where θ is open, beside the ways through the gates. What little helps: b_θ
begins at 1, so θ at 0.73, and h stays small.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, draw_uniform


@final
class CFN(Cell):
    """Chaos-free network. Weights begin in U(-0.07, 0.07), b_θ at 1, b_η at -1; W x has no bias.

    No gate of it keeps the state as it is: where θ is 1, what is handed on is tanh(h).

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = CFN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Laurent & von Brecht",
        2017,
        "A recurrent neural network without chaos",
        "https://arxiv.org/abs/1612.06212",
        where="equation (1) and the gates below it",
    )
    checked = (
        "the paper's equation (1) and gates; the draw as another's code quotes it; no code of the authors is known"
    )
    gate_names = {"from_x": ("theta", "eta", "n"), "from_h": ("theta", "eta")}

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 3 * hidden_size, bias=False)
        self.from_h = nn.Linear(hidden_size, 2 * hidden_size)
        draw_uniform(0.07, self.from_x, self.from_h)
        nn.init.ones_(self.from_h.bias[:hidden_size])
        nn.init.constant_(self.from_h.bias[hidden_size:], -1.0)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        x_theta, x_eta, x_n = self.from_x(x).chunk(3, dim=-1)
        h_theta, h_eta = self.from_h(h).chunk(2, dim=-1)
        theta = self.gate(x_theta + h_theta)
        eta = self.gate(x_eta + h_eta)
        return (theta * self.nonlinearity(h) + eta * self.nonlinearity(x_n),)
