r"""Skip RNN: a gated recurrent unit that says, whenever it takes a step, how many of the next it will not take.

    v    = ũ + min(δ, 1 − ũ)
    u    = round(v)                           0 or 1 (a half is 0); backwards it counts as v itself
    r, z = σ(W_r x + U_r h + b_r), σ(W_z x + U_z h + b_z)
    n    = tanh(Wₙ x + Uₙ (r h) + bₙ)
    h′   = z h + (1 − z) n
    δ′   = σ(w h′ + b)
    h ← u h′ + (1 − u) h
    δ ← u δ′ + (1 − u) δ
    ũ ← (1 − u) v                             adds δ up until it makes more than a half

Why the gradient survives: a step that is not taken hands h on as it is. At the draw δ is near σ(1) = 0.73 and all steps
are taken: what is gained has to be learnt, through a rounding whose gradient is made up.
"""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State


def _draw_glorot(weight: Tensor, fans: int) -> None:
    nn.init.uniform_(weight, -math.sqrt(6 / fans), math.sqrt(6 / fans))


@final
class SkipRNN(Cell):
    """Skip RNN around a gated recurrent unit.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`; δ (`delta`) and ũ (`total`) are one number each.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = SkipRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, delta, total = cell(x, cell.initial_state(x))
        >>> h.shape, delta.shape
        (torch.Size([4, 8]), torch.Size([4, 1]))
    """

    paper = Paper(
        "Campos et al.",
        2018,
        "Skip RNN: Learning to Skip State Updates in Recurrent Neural Networks",
        "https://arxiv.org/abs/1708.06834",
        where="section 3",
    )
    checked = (
        "authors' code, imatge-upc/skiprnn-2017-telecombcn src/rnn_cells/skip_rnn_cells.py @ 3486caea92: SkipGRUCell, "
        "without its learnt initial h"
    )
    state_names = ("h", "delta", "total")
    gate_names = {"from_x": ("r", "z", "n"), "from_h": ("r", "z"), "from_reset": ("n",)}
    keeps = Keeps("z", "h", called="update")

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, 3 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        self.from_reset = nn.Linear(hidden_size, hidden_size, bias=False)
        self.to_delta = nn.Linear(hidden_size, 1)
        gates, reads = 2 * hidden_size, input_size + hidden_size
        _draw_glorot(self.from_x.weight[:gates], reads + gates)
        _draw_glorot(self.from_h.weight, reads + gates)
        _draw_glorot(self.from_x.weight[gates:], reads + hidden_size)
        _draw_glorot(self.from_reset.weight, reads + hidden_size)
        _draw_glorot(self.to_delta.weight, hidden_size + 1)
        nn.init.ones_(self.from_x.bias[:gates])
        nn.init.zeros_(self.from_x.bias[gates:])
        nn.init.ones_(self.to_delta.bias)

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step: zeros, and a δ with which that is taken."""
        return x.new_zeros(x.shape[0], self.hidden_size), x.new_ones(x.shape[0], 1), x.new_zeros(x.shape[0], 1)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step, or none."""
        h, delta, total = state
        total = total + torch.minimum(delta, 1 - total)
        u = total + (torch.round(total) - total).detach()
        xr, xz, xn = self.from_x(x).chunk(3, dim=-1)
        hr, hz = self.from_h(h).chunk(2, dim=-1)
        r, z = self.gate(xr + hr), self.gate(xz + hz)
        new = z * h + (1 - z) * self.nonlinearity(xn + self.from_reset(r * h))
        new_delta = torch.sigmoid(self.to_delta(new))
        return u * new + (1 - u) * h, u * new_delta + (1 - u) * delta, (1 - u) * total
