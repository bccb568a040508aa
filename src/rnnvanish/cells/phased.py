r"""Phased LSTM: a rhythm of its own opens each unit for a part of its period, and lets it stand still for the rest.

    φ = ((t + s) / |τ|) mod 1                 t − s in the paper
    k = 2 φ / r                               in the first half of the open part, φ ≤ r / 2
        2 − 2 φ / r                           in the second, φ ≤ r
        α φ                                   while shut: a leak, in training alone
    i, f = σ(Wᵢ x + Uᵢ h + pᵢ c + bᵢ), σ(W_f x + U_f h + p_f c + b_f)
    g    = tanh(W_g x + U_g h + b_g)
    c′   = f c + i g
    o    = σ(Wₒ x + Uₒ h + pₒ c′ + bₒ)
    h′   = o tanh(c′)
    c ← k c′ + (1 − k) c
    h ← k h′ + (1 − k) h

Why the gradient survives: while a unit is shut, most of the time, its h and its c are handed on as they are; while it
is open it is an LSTM. So the gradient pays for the open steps alone, r of all.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State


@final
class PhasedLSTM(Cell):
    """LSTM with peepholes and a time gate.

    Its clock begins at 0 and goes on by 1 a step, or by what has passed where times are given.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h` and of `c`.
        ratio: r, the part of its period during which a unit is open.
        leak: α, in training.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = PhasedLSTM(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, c, t = cell(x, cell.initial_state(x), times=torch.full((4, 1), 0.5))
        >>> c.shape, t[0]
        (torch.Size([4, 8]), tensor([0.5000]))
    """

    paper = Paper(
        "Neil, Pfeiffer & Liu",
        2016,
        "Phased LSTM: Accelerating Recurrent Network Training for Long or Event-based Sequences",
        "https://arxiv.org/abs/1610.09513",
        where="equations (6)-(10)",
    )
    checked = "authors' code, dannyneil/public_plstm plstm.py @ 1bf2627970"
    state_names = ("h", "c", "t")
    helpers = ("t",)
    gate_names = dict.fromkeys(("from_x", "from_h"), ("i", "f", "g", "o"))
    keeps = Keeps("f", "c", called="forget", memory="cell", writes="i")
    wants = ("times",)
    small = {"ratio": 0.8}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        ratio: float = 0.05,
        leak: float = 0.001,
        nonlinearity: str = "tanh",
        gate_nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        if not 0 < ratio <= 1:
            raise ValueError(f"PhasedLSTM needs a ratio in (0, 1], got {ratio}.")
        self.ratio, self.leak = ratio, leak
        self.from_x = nn.Linear(input_size, 4 * hidden_size)
        self.from_h = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        self.peepholes = nn.Parameter(torch.empty(3, hidden_size))
        nn.init.normal_(self.from_x.weight, std=0.1)
        nn.init.normal_(self.from_h.weight, std=0.1)
        nn.init.normal_(self.peepholes, std=0.1)
        nn.init.zeros_(self.from_x.bias)
        nn.init.constant_(self.from_x.bias[hidden_size : 2 * hidden_size], 2.0)
        self.period = nn.Parameter(torch.empty(hidden_size).uniform_(10, 100))
        self.shift = nn.Parameter(torch.empty(hidden_size).uniform_(0, 1000))

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step: zeros."""
        return tuple(x.new_zeros(x.shape[0], width) for width in (self.hidden_size, self.hidden_size, 1))

    def forward(
        self, x: Float[Tensor, "batch input"], state: State, times: Float[Tensor, "batch 1"] | None = None
    ) -> State:
        """Take one step."""
        h, c, t = state
        if times is not None:
            t = t + times
        phase = (t + self.shift) / self.period.abs() % 1
        slope = 2 * phase / self.ratio
        leak = self.leak if self.training else 0.0
        k = torch.where(phase <= self.ratio / 2, slope, torch.where(phase <= self.ratio, 2 - slope, leak * phase))
        i, f, g, o = (self.from_x(x) + self.from_h(h)).chunk(4, dim=-1)
        p_i, p_f, p_o = self.peepholes
        new_c = self.gate(f + p_f * c) * c + self.gate(i + p_i * c) * self.nonlinearity(g)
        new_h = self.gate(o + p_o * new_c) * self.nonlinearity(new_c)
        return k * new_h + (1 - k) * h, k * new_c + (1 - k) * c, t + 1 if times is None else t
