r"""Coupled oscillators: positions y and velocities z of damped, driven oscillators that push each other.

    z ← z + Δt (tanh(W y + Q z + V x + b) − γ y − ε z)          all of the step before
    y ← y + Δt z                                                the new z

Why the gradient survives: without the tanh a step is a rotation that is damped a little, whose gain is near 1 for
small steps, and the tanh adds only Δt times its slope. Why it fades all the same: what the damping ε takes is gone.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, draw_as_torch


@final
class CoRNN(Cell):
    """Coupled oscillatory recurrent network.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `y` and of `z`.
        dt: Size of a step.
        gamma: Frequency: how hard an oscillator is pulled back.
        epsilon: Damping. The three defaults are the authors' for pixels of MNIST; other tasks have others.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> import torch
        >>> cell = CoRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> y, z = cell(x, cell.initial_state(x))
        >>> y.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Rusch & Mishra",
        2021,
        "Coupled Oscillatory Recurrent Neural Network (coRNN)",
        "https://arxiv.org/abs/2010.00951",
        where="equation (3)",
    )
    checked = "authors' code, tk-rusch/coRNN sMNIST/network.py and sMNIST/sMNIST_task.py @ afd81744d1"
    state_names = ("y", "z")
    gate_names = dict.fromkeys(("from_x", "from_y", "from_z"), ("n",))

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        dt: float = 0.042,
        gamma: float = 2.7,
        epsilon: float = 4.7,
        nonlinearity: str = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.dt, self.gamma, self.epsilon = dt, gamma, epsilon
        self.from_x = nn.Linear(input_size, hidden_size)
        self.from_y = nn.Linear(hidden_size, hidden_size, bias=False)
        self.from_z = nn.Linear(hidden_size, hidden_size, bias=False)
        # The authors' is one layer that reads x, z and y side by side.
        draw_as_torch(input_size + 2 * hidden_size, self.from_x, self.from_y, self.from_z)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        y, z = state
        n = self.nonlinearity(self.from_x(x) + self.from_y(y) + self.from_z(z))
        z = z + self.dt * (n - self.gamma * y - self.epsilon * z)
        y = y + self.dt * z
        return y, z
