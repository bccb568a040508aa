r"""MUT1, MUT2, MUT3: the three best of ten thousand recurrent cells that an evolution made of the GRU.

    MUT1    z = σ(W_z x + b_z)                     r = σ(W_r x + U_r h + b_r)    n = tanh(U (r h) + tanh(P x) + bₙ)
    MUT2    z = σ(W_z x + U_z h + b_z)             r = σ(P x + U_r h + b_r)      n = tanh(U (r h) + Wₙ x + bₙ)
    MUT3    z = σ(W_z x + U_z tanh(h) + b_z)       r = σ(W_r x + U_r h + b_r)    n = tanh(U (r h) + Wₙ x + bₙ)
    all     h ← z n + (1 − z) h                    z writes: where it is 0 the old state stays

P x is x itself where the state has its width, as in the paper; else P lifts it to that width.

Why the gradient survives: where z is near 0 the state is handed on as it is. In MUT1 z does not read the state, so that
a step back through the gate is none. At the start z is about one half.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_glorot, draw_orthogonal

PAPER = Paper(
    "Jozefowicz, Zaremba & Sutskever",
    2015,
    "An Empirical Exploration of Recurrent Network Architectures",
    "https://proceedings.mlr.press/v37/jozefowicz15.html",
)
CHECKED = "code, Saizheng/oldkeras keras/keras/layers/recurrent.py (JZS1 to JZS3) @ 2a908a2d27"


class Lift(nn.Module):
    """P x: x where it has the width of the state; else its product with a matrix that begins at ±1/√(features of x)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        signs = torch.randint(2, (hidden_size, input_size)) * 2.0 - 1
        self.weight = None if input_size == hidden_size else nn.Parameter(signs / input_size**0.5)

    def forward(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch hidden"]:
        """Return P x."""
        return x if self.weight is None else linear(x, self.weight)


@final
class MUT1(Cell):
    """The first: its update gate does not read the state.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = MUT1(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = PAPER
    checked = CHECKED
    gate_names = {"from_x": ("z", "r"), "from_h": ("r",), "from_reset": ("n",)}
    keeps = Keeps("z", "h", called="update", closed=True)

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.lift = Lift(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        self.from_reset = nn.Linear(hidden_size, hidden_size)
        draw_glorot(hidden_size, self.from_x)
        draw_orthogonal(hidden_size, self.from_h, self.from_reset)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        z, r = self.from_x(x).chunk(2, dim=-1)
        z = self.gate(z)
        r = self.gate(r + self.from_h(h))
        n = self.nonlinearity(self.from_reset(r * h) + self.nonlinearity(self.lift(x)))
        return (z * n + (1 - z) * h,)


@final
class MUT2(Cell):
    """The second: its reset gate reads the input without weights.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = MUT2(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = PAPER
    checked = CHECKED
    gate_names = {"from_x": ("z", "n"), "from_h": ("z", "r"), "from_reset": ("n",)}
    keeps = Keeps("z", "h", called="update", closed=True)

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.lift = Lift(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 2 * hidden_size, bias=False)
        self.from_h = nn.Linear(hidden_size, 2 * hidden_size)
        self.from_reset = nn.Linear(hidden_size, hidden_size)
        draw_glorot(hidden_size, self.from_x)
        draw_orthogonal(hidden_size, self.from_h, self.from_reset)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        xz, xn = self.from_x(x).chunk(2, dim=-1)
        hz, hr = self.from_h(h).chunk(2, dim=-1)
        z = self.gate(xz + hz)
        r = self.gate(self.lift(x) + hr)
        n = self.nonlinearity(self.from_reset(r * h) + xn)
        return (z * n + (1 - z) * h,)


@final
class MUT3(Cell):
    """The third: its update gate reads the state squashed.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = MUT3(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = PAPER
    checked = CHECKED
    gate_names = {"from_x": ("z", "r", "n"), "from_squashed": ("z",), "from_h": ("r",), "from_reset": ("n",)}
    keeps = Keeps("z", "h", called="update", closed=True)

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 3 * hidden_size)
        self.from_squashed = nn.Linear(hidden_size, hidden_size, bias=False)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        self.from_reset = nn.Linear(hidden_size, hidden_size, bias=False)
        draw_glorot(hidden_size, self.from_x)
        draw_orthogonal(hidden_size, self.from_squashed, self.from_h, self.from_reset)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        xz, xr, xn = self.from_x(x).chunk(3, dim=-1)
        z = self.gate(xz + self.from_squashed(self.nonlinearity(h)))
        r = self.gate(xr + self.from_h(h))
        n = self.nonlinearity(self.from_reset(r * h) + xn)
        return (z * n + (1 - z) * h,)
