r"""Clockwork network: modules of units, each with a period, that stand still between the ticks of their clocks.

    h ← tanh(W x + U h + b)                   in a module whose period divides t; all others keep theirs
    t ← (t + 1) mod all periods               so that every module moves at the first step

    U leads from a module to itself and to faster ones alone

Why the gradient survives: at a step at which a module stands still its state is handed on as it is, so along a module
of period T it is multiplied by a matrix and a slope once in T steps. What has reached a fast module is soon forgotten,
and there is no way back into a slow one.
"""

import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State

EXPONENTIAL = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@final
class ClockworkRNN(Cell):
    """Clockwork network.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`. All modules have as many units, but for one more in each of the first where some are
            left over.
        periods: Of each module, in steps, the fastest first.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Raises:
        ValueError: Where a period is no step long, or there is none.

    Examples:
        >>> cell = ClockworkRNN(input_size=2, hidden_size=8, periods=(1, 2, 4))
        >>> x = torch.zeros(4, 2)
        >>> h, t = cell(x, cell.initial_state(x))
        >>> h.shape, t.shape
        (torch.Size([4, 8]), torch.Size([4, 1]))
    """

    paper = Paper("Koutník et al.", 2014, "A Clockwork RNN", "https://arxiv.org/abs/1402.3511", where="section 3")
    checked = "pranv/clockwork_rnn layers/crnn.py @ f4319d1e1b, which is not the authors' (theirs is not public)"
    state_names = ("h", "t")
    helpers = ("t",)
    gate_names = {"from_x": ("h",)}
    small = {"periods": (1, 2, 3)}
    period: Tensor
    reads: Tensor

    def __init__(
        self, input_size: int, hidden_size: int, periods: Sequence[int] = EXPONENTIAL, nonlinearity: str = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not periods or min(periods) < 1:
            raise ValueError(f"ClockworkRNN needs periods of at least one step, got {periods}.")
        self.from_x = nn.Linear(input_size, hidden_size)
        self.from_h = nn.Parameter(torch.empty(hidden_size, hidden_size))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)
        self.nonlinearity = self.activation(nonlinearity)
        modules = torch.empty(hidden_size).tensor_split(len(periods))
        period = torch.cat([torch.full_like(units, each) for units, each in zip(modules, periods, strict=True)])
        self.register_buffer("period", period, persistent=False)
        self.register_buffer("reads", period[:, None] <= period, persistent=False)
        self.cycle = math.lcm(*periods)

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step: zeros, and all clocks at a tick."""
        return x.new_zeros(x.shape[0], self.hidden_size), x.new_zeros(x.shape[0], 1)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, t = state
        new = self.nonlinearity(self.from_x(x) + h @ (self.from_h * self.reads).T)
        return torch.where(t % self.period == 0, new, h), (t + 1) % self.cycle
