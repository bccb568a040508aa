r"""Diagonal state space: each feature is read by a row of complex numbers that turn and shrink at rates of their own.

    u = W x + b                                 the features; the paper's block makes them outside
    Ā = exp(Δ A), A = −e^a + i ω                each step lasts Δ, one for each feature
    s ← Ā s + (Ā − 1)/A u                       as if u were held still for Δ
    y = 2 Re(C s) + D u                         handed on, not fed back; 2 Re: each number stands for a pair

Why the gradient survives: a step back multiplies it by Ā, no matrix and no slope. |Ā| = exp(−Δ/2) at the draw, and Δ
between 0.001 and 0.1: a half-life of 14 to 1400 steps.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class S4D(Cell):
    """Diagonal structured state space (S4D-Lin), without the block around it.

    Args:
        input_size: Features read at each step.
        hidden_size: Features that are remembered, and width of the output.
        order: Complex numbers for each feature, half of the paper's N; `s` is (batch, hidden, order).

    Examples:
        >>> cell = S4D(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (s,) = cell(x, cell.initial_state(x))
        >>> s.shape, s.dtype
        (torch.Size([4, 8, 32]), torch.complex64)
    """

    paper = Paper(
        "Gu, Gupta, Goel & Ré",
        2022,
        "On the Parameterization and Initialization of Diagonal State Space Models",
        "https://arxiv.org/abs/2206.11893",
        where="S4D-Lin",
    )
    checked = "authors' code, state-spaces/s4 models/s4/s4d.py @ e757cef57d"
    state_names = ("s",)
    gate_names = {"from_x": ("u",)}
    small = {"order": 3}
    chunk = 64  # steps that the parallel form takes at once

    def __init__(self, input_size: int, hidden_size: int, order: int = 32) -> None:
        super().__init__(input_size, hidden_size)
        self.order = order
        self.from_x = nn.Linear(input_size, hidden_size)
        self.log_dt = nn.Parameter(torch.empty(hidden_size, 1).uniform_(math.log(0.001), math.log(0.1)))
        self.log_a = nn.Parameter(torch.full((hidden_size, order), math.log(0.5)))
        self.omega = nn.Parameter(math.pi * torch.arange(order).repeat(hidden_size, 1))
        self.c_re = nn.Parameter(torch.randn(hidden_size, order) * math.sqrt(0.5))
        self.c_im = nn.Parameter(torch.randn(hidden_size, order) * math.sqrt(0.5))
        self.d = nn.Parameter(torch.randn(hidden_size))

    def initial_state(self, x: Inexact[Tensor, "batch input"]) -> State:
        """Return zeros, complex."""
        return (x.new_zeros(x.shape[0], self.hidden_size, self.order, dtype=x.dtype.to_complex()),)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (s,) = state
        rate = torch.complex(-self.log_a.exp(), self.omega)
        decay = torch.exp(self.log_dt.exp() * rate)
        return (decay * s + (decay - 1) / rate * self.from_x(x)[:, :, None],)

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch hidden"]:
        """Read the state out."""
        (s,) = after
        u: Tensor = self.from_x(x)
        return 2 * (torch.complex(self.c_re, self.c_im) * s).sum(-1).real + self.d * u

    def parallel(self, x: Float[Tensor, "time batch input"], state: State) -> tuple[Tensor, State]:
        """Take all steps, some of them at once, as a convolution."""
        (s,), outputs = state, []
        c, rate = torch.complex(self.c_re, self.c_im), torch.complex(-self.log_a.exp(), self.omega)
        decay, length = torch.exp(self.log_dt.exp() * rate), min(self.chunk, x.shape[0])
        write, powers = (decay - 1) / rate, decay[None]  # Ā, Ā², …
        for _ in range((length - 1).bit_length()):
            powers = torch.cat([powers, powers[-1] * powers])[:length]
        written = write * torch.cat([torch.ones_like(powers[:1]), powers[:-1]])  # by a step, so many steps ago
        kernel = torch.fft.rfft(2 * (c * written).sum(-1).real, 2 * length, 0)[:, None]
        for u in self.from_x(x).split(length):
            y = torch.fft.irfft(torch.fft.rfft(u, 2 * length, 0) * kernel, 2 * length, 0)[: len(u)]
            y = y + 2 * torch.einsum("hn,thn,bhn->tbh", c, powers[: len(u)], s).real
            outputs.append(y + self.d * u)
            s = powers[len(u) - 1] * s + torch.einsum("thn,tbh->bhn", written[: len(u)], u.flip(0).to(s.dtype))
        return torch.cat(outputs), (s,)
