r"""Selective state space: what is read decides how long a step lasts, hence what is kept and what is let in.

    u        = Wᵤ x                             the features; the paper's block makes them outside, with a convolution
    δ, B, C  = V_δ u, V_B u, V_C u
    Δ        = softplus(W δ + b)                a gate for each feature: 0 keeps, a large one forgets and lets in
    s ← exp(Δ A) s + Δ B u, A = −e^a            (the paper holds u still for Δ, as S4D does; its code takes Δ B)
    y = C s + D u                               handed on, not fed back

Why the gradient survives: where Δ is near 0 the state is handed on as it is, and a step back multiplies the gradient by
exp(Δ A), no matrix and no slope. The draw of b has Δ between 0.001 and 0.1.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn
from torch.nn.functional import softplus

from rnnvanish.cell import Cell, Paper, State


@final
class S6(Cell):
    """Selective state space, the step of Mamba without the block around it.

    Args:
        input_size: Features read at each step.
        hidden_size: Features that are remembered, and width of the output.
        order: Numbers for each feature; `s` is (batch, hidden, order).

    Examples:
        >>> cell = S6(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (s,) = cell(x, cell.initial_state(x))
        >>> s.shape
        torch.Size([4, 8, 16])
    """

    paper = Paper(
        "Gu & Dao",
        2023,
        "Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
        "https://arxiv.org/abs/2312.00752",
        where="algorithm 2",
    )
    checked = "authors' code, state-spaces/mamba mamba_ssm/modules/mamba_simple.py @ e9594ce1c7"
    state_names = ("s",)
    gate_names = {"from_x": ("u",)}
    small = {"order": 3}

    def __init__(self, input_size: int, hidden_size: int, order: int = 16) -> None:
        super().__init__(input_size, hidden_size)
        self.order, self.rank = order, math.ceil(hidden_size / 16)
        self.from_x = nn.Linear(input_size, hidden_size, bias=False)
        self.to_selection = nn.Linear(hidden_size, self.rank + 2 * order, bias=False)
        delta = torch.empty(hidden_size).uniform_(math.log(0.001), math.log(0.1)).exp()
        self.w = nn.Parameter((2 * torch.rand(hidden_size, self.rank) - 1) / math.sqrt(self.rank))
        self.b = nn.Parameter(torch.log(torch.expm1(delta)))  # softplus gives Δ back
        self.log_a = nn.Parameter(torch.arange(1.0, order + 1).log().repeat(hidden_size, 1))
        self.d = nn.Parameter(torch.ones(hidden_size))

    def initial_state(self, x: Inexact[Tensor, "batch input"]) -> State:
        """Return zeros."""
        return (x.new_zeros(x.shape[0], self.hidden_size, self.order),)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (s,), u = state, self.from_x(x)
        delta, b, _ = self.to_selection(u).split([self.rank, self.order, self.order], dim=-1)
        delta = softplus(delta @ self.w.T + self.b)
        return (torch.exp(-self.log_a.exp() * delta[:, :, None]) * s + (delta * u)[:, :, None] * b[:, None],)

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch hidden"]:
        """Read the state out."""
        (s,) = after
        u: Tensor = self.from_x(x)
        c: Tensor = self.to_selection(u)[:, None, -self.order :]
        return (s * c).sum(-1) + self.d * u
