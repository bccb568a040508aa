r"""Attention over past states: the state is half the newest output and half a mixture of past ones, weighed by their fit.

    h ← tanh(U x + V s + b)                     handed on, and put before the past
    eᵢ = v · tanh(V_a s + U_a hᵢ)               for each of the last `span` outputs, h among them; s is the old one
    c  = Σ softmax(e)ᵢ hᵢ
    s ← (h + c) / 2

Why the gradient survives: each past output is one step away, whatever lies between, by its weight: one over the number
of them where all fit alike. What is older than `span` has to come through the recurrence, as in a plain network.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class AttentiveRNN(Cell):
    """Recurrent network that attends to its own past, the paper's MemRNN; with a window, its RelRNN without the rest.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `s`.
        span: Past outputs that are attended to; `past` is (batch, span, hidden), the newest first.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> cell = AttentiveRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> s, past, t = cell(x, cell.initial_state(x))
        >>> past.shape
        torch.Size([4, 25, 8])
    """

    paper = Paper(
        "Kerg et al.",
        2020,
        "Untangling tradeoffs between recurrence and self-attention in neural networks",
        "https://arxiv.org/abs/2006.09471",
        where="section 3",
    )
    checked = "authors' code, bhargav104/MemoryNets RNN.py @ 9ae06bbbc9; span: both its buckets, 10 + 15"
    state_names = ("s", "past", "t")
    helpers = ("t",)
    gate_names = {"from_x": ("h",), "from_s": ("h",), "query": ("query",), "key": ("key",)}
    small = {"span": 3}

    def __init__(self, input_size: int, hidden_size: int, span: int = 25, nonlinearity: str = "tanh") -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.span = span
        self.from_x = nn.Linear(input_size, hidden_size)
        self.from_s = nn.Linear(hidden_size, hidden_size, bias=False)
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)
        self.score = nn.Parameter(torch.empty(1, hidden_size))
        nn.init.xavier_normal_(self.from_x.weight)
        nn.init.xavier_normal_(self.score)
        angles = torch.zeros(hidden_size - 1)
        angles[::2].uniform_(-math.pi, 0)
        with torch.no_grad():  # rotations of pairs of units
            self.from_s.weight.copy_(torch.linalg.matrix_exp(angles.diag(1) - angles.diag(-1)))

    def initial_state(self, x: Inexact[Tensor, "batch input"]) -> State:
        """Return zeros."""
        past = x.new_zeros(x.shape[0], self.span, self.hidden_size)
        return x.new_zeros(x.shape[0], self.hidden_size), past, x.new_zeros(x.shape[0], 1)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        s, past, t = state
        h = self.nonlinearity(self.from_x(x) + self.from_s(s))
        past, t = torch.cat([h[:, None], past[:, :-1]], dim=1), t + 1
        e = (self.score * torch.tanh(self.query(s)[:, None] + self.key(past))).sum(-1)
        e = e.masked_fill(torch.arange(self.span, device=x.device) + 0.5 > t, -math.inf)  # not reached yet
        c = (torch.softmax(e, dim=-1)[:, :, None] * past).sum(1)
        return (h + c) / 2, past, t

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch hidden"]:
        """Return the newest output."""
        return after[1][:, 0]
