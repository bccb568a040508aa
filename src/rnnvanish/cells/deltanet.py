r"""Delta rule: a matrix that stores values under keys, and is corrected where it was wrong.

    q, k = normalised silu(W_q x), silu(W_k x),  v = silu(W_v x)
    β    = σ(w x)                               how much of the error is corrected, one for each head
    S ← S + β (v − S k) kᵀ                      what was stored under k makes way for v
    y = S q / √d                                handed on, not fed back

Why the gradient survives: a step back multiplies it by 1 − β k kᵀ: it shrinks, by β, along k alone. What was stored
under other keys is untouched; what was stored under this one is gone.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn
from torch.nn.functional import silu

from rnnvanish.cell import Cell, Paper, State, head_width


@final
class DeltaNet(Cell):
    """DeltaNet, without the block around it and its convolutions.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of the output.
        heads: Memories; they divide the hidden size. `S` is (batch, heads, width, width), values by keys.

    Examples:
        >>> cell = DeltaNet(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (S,) = cell(x, cell.initial_state(x))
        >>> S.shape
        torch.Size([4, 4, 2, 2])
    """

    paper = Paper(
        "Yang, Wang, Zhang, Shen & Kim",
        2024,
        "Parallelizing Linear Transformers with the Delta Rule over Sequence Length",
        "https://arxiv.org/abs/2406.06484",
        where="section 2.2; the rule is that of Schlag, Irie & Schmidhuber (2021)",
    )
    checked = "authors' code, fla-org/flash-linear-attention fla/layers/delta_net.py, fla/ops/delta_rule @ bc3b101dcb"
    state_names = ("S",)
    gate_names = {"from_x": ("q", "k", "v"), "from_x_rate": ("β",)}
    small = {"heads": 1}
    chunk = 64  # steps that the parallel form takes at once

    def __init__(self, input_size: int, hidden_size: int, heads: int = 4) -> None:
        super().__init__(input_size, hidden_size)
        self.heads, self.width = heads, head_width(self, heads)
        self.from_x = nn.Linear(input_size, 3 * hidden_size, bias=False)
        self.from_x_rate = nn.Linear(input_size, heads, bias=False)

    def initial_state(self, x: Inexact[Tensor, "batch input"]) -> State:
        """Return zeros."""
        return (x.new_zeros(x.shape[0], self.heads, self.width, self.width),)

    def _read(self, x: Float[Tensor, "*steps input"]) -> tuple[Float[Tensor, "*steps heads width"], ...]:
        """Compute q, k and v."""
        q, k, v = silu(self.from_x(x)).unflatten(-1, (3, self.heads, self.width)).unbind(-3)
        q, k = (a * torch.rsqrt((a * a).sum(-1, keepdim=True) + 1e-6) for a in (q, k))
        return q / math.sqrt(self.width), k, v

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (S,) = state
        _, k, v = self._read(x)
        error = v - (S * k[:, :, None]).sum(-1)
        return (S + (torch.sigmoid(self.from_x_rate(x))[..., None] * error)[..., None] * k[:, :, None],)

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch hidden"]:
        """Look up what is stored under q."""
        (S,) = after
        q = self._read(x)[0]
        return (S * q[:, :, None]).sum(-1).flatten(1)

    def parallel(self, x: Float[Tensor, "time batch input"], state: State) -> tuple[Tensor, State]:
        """Take all steps, some of them at once: a triangular system says what is still wrong when each is reached."""
        (S,), outputs = state, []
        for steps in x.split(self.chunk):
            q, k, v = (a.movedim(0, 2) for a in self._read(steps))
            rate = torch.sigmoid(self.from_x_rate(steps)).movedim(0, 2)[..., None]
            error = rate * (v - k @ S.mT)
            error = torch.linalg.solve_triangular(rate * (k @ k.mT), error, upper=False, unitriangular=True)
            outputs.append(q @ S.mT + (q @ k.mT).tril() @ error)
            S = S + error.mT @ k
        return torch.cat(outputs, dim=2).movedim(2, 0).flatten(2), (S,)
