r"""Simple recurrent unit: the state is multiplied with vectors alone, and the output leads past it.

    f   = σ(W_f x + v_f c + b_f)
    r   = σ(W_r x + v_r c + b_r)             both gates read the old c
    c ← f c + (1 − f) W x
    h   = r c + (1 − r) α x                  handed on, not fed back; W′ x for α x where x has another width

Why the gradient survives: each number of the state is on its own. A step back multiplies it by f, and adds what goes
through the gate, f (1 − f) v_f (c − W x); no matrix mixes the two. f is about one half at the default draw.
"""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State


@final
class SRU(Cell):
    """Simple recurrent unit.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `c` and of the output.
        highway_bias: b_r at the start. With it goes the constant α = √(1 + 2 exp(b_r)), which keeps the variance of
            the output near that of the input.

    Examples:
        >>> cell = SRU(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> before = cell.initial_state(x)
        >>> after = cell(x, before)
        >>> cell.output(x, before, after).shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Lei et al.",
        2018,
        "Simple Recurrent Units for Highly Parallelizable Recurrence",
        "https://arxiv.org/abs/1709.02755",
        where="equations (1)-(4)",
    )
    checked = "authors' code, asappresearch/sru sru/modules.py @ 01db15e848, sru/ops.py @ 069f06b6dc"
    state_names = ("c",)
    gate_names = {"from_x": ("f", "r")}
    keeps = Keeps("f", "c", called="forget")

    def __init__(self, input_size: int, hidden_size: int, highway_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.candidate = nn.Linear(input_size, hidden_size, bias=False)
        self.v = nn.Parameter(torch.empty(2, hidden_size))
        self.highway = nn.Linear(input_size, hidden_size, bias=False) if input_size != hidden_size else None
        self.alpha = math.sqrt(1 + 2 * math.exp(highway_bias))
        bound = math.sqrt(3 / input_size)
        nn.init.uniform_(self.candidate.weight, -bound, bound)
        nn.init.uniform_(self.from_x.weight, -bound * math.sqrt(0.5), bound * math.sqrt(0.5))
        nn.init.uniform_(self.v, -math.sqrt(1.5), math.sqrt(1.5))
        if self.highway is not None:
            nn.init.uniform_(self.highway.weight, -bound * self.alpha, bound * self.alpha)
        nn.init.zeros_(self.from_x.bias[:hidden_size])
        nn.init.constant_(self.from_x.bias[hidden_size:], highway_bias)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (c,) = state
        f = torch.sigmoid(self.from_x(x).chunk(2, dim=-1)[0] + self.v[0] * c)
        return (f * c + (1 - f) * self.candidate(x),)

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch output"]:
        """Mix the new state with the input."""
        r = torch.sigmoid(self.from_x(x).chunk(2, dim=-1)[1] + self.v[1] * before[0])
        past_it = self.alpha * x if self.highway is None else self.highway(x)
        return r * after[0] + (1 - r) * past_it
