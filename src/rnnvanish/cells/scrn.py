r"""Structurally constrained network: beside the usual units some that change slowly, each for itself.

    h ← σ(A x + P s + R h)          s before the step, as the authors' code has it; the paper writes the new one
    s ← (1 − α) B x + α s
    output: h and s, side by side; the paper's read-out is a layer on both

Why the gradient survives: along s a step back multiplies it by α = 0.95, no matrix and no slope. Why it fades all the
same: α is fixed, 0.95 to the power of 45 is a tenth. Along h it dies as in a plain network.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class SCRN(Cell):
    """Structurally constrained recurrent network; it has no biases.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        context_size: Width of the slow part `s`.
        alpha: How much of `s` a step keeps; it is not trained.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> cell = SCRN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, s = cell(x, cell.initial_state(x))
        >>> h.shape, s.shape, cell.output_size
        (torch.Size([4, 8]), torch.Size([4, 20]), 28)
    """

    paper = Paper(
        "Mikolov, Joulin, Chopra, Mathieu & Ranzato",
        2014,
        "Learning Longer Memory in Recurrent Neural Networks",
        "https://arxiv.org/abs/1412.7753",
    )
    checked = "authors' code, facebookarchive/SCRNNs mfactory.lua, util.lua, scrnn.lua and options.lua @ 75582d4371"
    state_names = ("h", "s")
    gate_names = dict.fromkeys(("from_x", "from_h"), ("h",))
    small = {"context_size": 3}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        context_size: int = 20,
        alpha: float = 0.95,
        nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if context_size < 1:
            raise ValueError(f"SCRN needs context_size >= 1, got {context_size}.")
        self.context_size, self.alpha = context_size, alpha
        self.from_x = nn.Linear(input_size, hidden_size, bias=False)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        self.p = nn.Parameter(torch.empty(hidden_size, context_size))
        self.b = nn.Parameter(torch.empty(context_size, input_size))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.05)
        self.nonlinearity = self.activation(nonlinearity)

    @property
    def output_size(self) -> int:
        """Width of the output: that of both parts."""
        return self.hidden_size + self.context_size

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step: 0.1, as the authors have it."""
        return x.new_full((x.shape[0], self.hidden_size), 0.1), x.new_full((x.shape[0], self.context_size), 0.1)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, s = state
        h = self.nonlinearity(self.from_x(x) + s @ self.p.T + self.from_h(h))
        s = (1 - self.alpha) * (x @ self.b.T) + self.alpha * s
        return h, s

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch output"]:
        """Hand on both parts."""
        return torch.cat(after, dim=-1)
