r"""Quasi-recurrent network: gates that read this step's input and the one before, and no state at all.

    z, f, o = tanh(W_z x + V_z x₋₁ + b_z), σ(W_f x + V_f x₋₁ + b_f), σ(Wₒ x + Vₒ x₋₁ + bₒ)
    c ← f z + (1 − f) c                       f lets in, as in the authors' code; in the paper it keeps
    h   = o c                                 handed on, not fed back

    V x₋₁ is carried from step to step, and is 0 before the first

Why the gradient survives: a step back multiplies it by 1 − f, no matrix and no slope, and nothing that depends on the
state. At the default draw that is one half.
"""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State


@final
class QRNN(Cell):
    """Quasi-recurrent network with a window of two steps and an output gate.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `c` and of the output; the carried V x₋₁ is three times as wide.

    Examples:
        >>> cell = QRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> before = cell.initial_state(x)
        >>> c, vx = cell(x, before)
        >>> cell.output(x, before, (c, vx)).shape, vx.shape
        (torch.Size([4, 8]), torch.Size([4, 24]))
    """

    paper = Paper(
        "Bradbury, Merity, Xiong & Socher",
        2017,
        "Quasi-Recurrent Neural Networks",
        "https://arxiv.org/abs/1611.01576",
        where="equations (2) and (4)",
    )
    checked = "authors' code, salesforce/pytorch-qrnn torchqrnn/qrnn.py @ 0e8afb5c7b, forget_mult.py @ 04ecb6ce33"
    state_names = ("c", "vx")
    gate_names = {"from_x": ("z", "f", "o")}
    keeps = Keeps("f", "c", called="update", closed=True)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 3 * hidden_size)
        self.for_next = nn.Linear(input_size, 3 * hidden_size, bias=False)
        bound = 1 / math.sqrt(2 * input_size)  # that of one layer which reads both
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step: zeros."""
        return x.new_zeros(x.shape[0], self.hidden_size), x.new_zeros(x.shape[0], 3 * self.hidden_size)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        c, vx = state
        z, f, _ = (self.from_x(x) + vx).chunk(3, dim=-1)
        f = torch.sigmoid(f)
        return f * torch.tanh(z) + (1 - f) * c, self.for_next(x)

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch output"]:
        """Let the gate decide how much of the new state is seen."""
        o = (self.from_x(x) + before[1]).chunk(3, dim=-1)[2]
        return torch.sigmoid(o) * after[0]
