r"""Randomly truncated backpropagation: the gradient is cut at random steps, and what passes is made larger for it.

    g_{t−1} ← 0 with probability c, else g_{t−1} / (1 − c)

On average it is the whole gradient, however far back: what a fixed window never learns, this learns now and then.
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper, wrap
from rnnvanish.numerics.real_view import is_number
from rnnvanish.recurrent import Recurrent


class _RandomlyTruncated(Wrapper):
    def __init__(self, cell: Cell, cut: float) -> None:
        super().__init__(cell)
        self.cut = cut

    @property
    def hands_back_derivative(self) -> bool:
        """Not in training."""
        return not self.training

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        if self.training:
            drawn = torch.rand_like(x.real[:, :1])
            passed = (drawn >= self.cut).to(drawn.dtype) / (1 - self.cut)
            state = tuple(_scale_gradient(part, passed) if is_number(part) else part for part in state)
        return super().forward(x, state, **wanted)


def _scale_gradient(part: Tensor, factor: Tensor) -> Tensor:
    """The same numbers, whose gradient is multiplied, sequence by sequence."""
    constant = part.detach()
    return constant + factor.view(-1, *[1] * (part.dim() - 1)) * (part - constant)


@dataclass(frozen=True)
class RandomTruncation(Build):
    """Cut the gradient of each sequence at a step with probability 1 / `window`, and weigh what passes, in training.

    It needs no less memory than the whole way back: a cut is made for each sequence and layer by itself. What reaches far
    back is rare and large, so gradients scatter: clip them, or take smaller steps. Values are those of the plain layer; in
    evaluation the gradient is, too. Measured in training, `probes.retention` shows what training gets, one draw of it; what
    takes steps again (Jacobians, shares) refuses.

    Attributes:
        window: Mean number of steps from one cut to the next.

    Raises:
        ValueError: For a window of 1 or less: nothing would pass.
    """

    paper = Paper(
        "Tallec & Ollivier",
        2017,
        "Unbiasing Truncated Backpropagation Through Time",
        "https://arxiv.org/abs/1705.08209",
    )
    checked = (
        "the paper's abstract; the factor 1 / (1 − c) is what makes the mean right, which a test adds up. Of its choices "
        "of c the constant one; theirs may also fall with the "
        "distance from the last cut, and one cut serves the whole batch there, so that memory is saved"
    )
    invariant = (
        "Outputs are those of the plain layer, and over all draws the mean of the gradient is the whole gradient."
    )
    window: float = 20.0

    def __post_init__(self) -> None:
        if not self.window > 1:
            raise ValueError(f"RandomTruncation needs a window > 1 step, got {self.window}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell."""
        return wrap(layer, partial(_RandomlyTruncated, cut=1 / self.window))
