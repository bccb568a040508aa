r"""Long expressive memory: two parts of the state, each with time steps that are learnt, unit by unit.

    Δ̄, Δ = Δt σ(W₁ x + U₁ y + b₁), Δt σ(W₂ x + U₂ y + b₂)
    z ← (1 − Δ) z + Δ tanh(W_z x + U_z y + b_z)           the old y
    y ← (1 − Δ̄) y + Δ̄ tanh(W_y x + U_y z + b_y)          the new z

Why the gradient survives: where Δ̄ is near 0 the state is handed on as it is, as by a gate. Why it often does not: at
the default draw Δ̄ is about one half.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_as_torch


@final
class LEM(Cell):
    """Long expressive memory.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `y` and of `z`.
        dt: The longest time step.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = LEM(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> y, z = cell(x, cell.initial_state(x))
        >>> y.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Rusch, Mishra, Erichson & Mahoney",
        2022,
        "Long Expressive Memory for Sequence Modeling",
        "https://arxiv.org/abs/2110.04744",
        where="equation (3)",
    )
    checked = "authors' code, tk-rusch/LEM src/sMNIST/network.py @ 833da6b338"
    state_names = ("y", "z")
    gate_names = {"from_x": ("Δy", "Δz", "y", "z"), "from_y": ("Δy", "Δz", "z"), "from_z": ("y",)}
    keeps: Keeps | None = Keeps("Δy", "y", called="update", closed=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        dt: float = 1.0,
        nonlinearity: str = "tanh",
        gate_nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.dt = dt
        if dt != 1:  # what is kept is then no longer one minus the gate
            self.keeps = None
        self.from_x = nn.Linear(input_size, 4 * hidden_size)
        self.from_y = nn.Linear(hidden_size, 3 * hidden_size)
        self.from_z = nn.Linear(hidden_size, hidden_size)
        draw_as_torch(hidden_size, self.from_x, self.from_y, self.from_z)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        y, z = state
        x1, x2, xy, xz = self.from_x(x).chunk(4, dim=-1)
        y1, y2, yz = self.from_y(y).chunk(3, dim=-1)
        dy = self.dt * self.gate(x1 + y1)
        dz = self.dt * self.gate(x2 + y2)
        z = (1 - dz) * z + dz * self.nonlinearity(xz + yz)
        y = (1 - dy) * y + dy * self.nonlinearity(xy + self.from_z(z))
        return y, z
