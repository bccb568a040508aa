r"""Synthetic gradients: where the gradient is cut, a learnt guess of what would have come from beyond takes its place.

    at a cut after step t     dL/ds_t  ←  M s_t + m          instead of 0
    M, m learn                ½ ‖M s_t + m − g‖²             g: what arrives at the cut from the next window

g itself ends in the guess of the window after, so that a guess can tell of losses many windows away. A cure for what a
truncation leaves out, not for what vanishes within a window.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper, run_as_plain_loop, wrap
from rnnvanish.numerics.real_view import pack_part, unpack_part
from rnnvanish.recurrent import Recurrent


class _Cut(torch.autograd.Function):
    """Hands on a state; where it is due, the gradient that comes back is a guess, which learns from what it replaces."""

    @staticmethod
    def forward(ctx: Any, state: Tensor, due: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(state, due, weight, bias)
        return state.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        state, due, weight, bias = ctx.saved_tensors
        guess = state @ weight.T + bias
        error = torch.where(due, guess - gradient, 0.0)
        return torch.where(due, guess, gradient), None, error.T @ state, error.sum(0)


class _Guessing(Wrapper):
    """Its state carries a clock: steps since the last cut."""

    def __init__(self, cell: Cell, window: int) -> None:
        super().__init__(cell, ("clock",), helpers=("clock",))
        self.window = window
        like = next(cell.parameters())
        x = torch.zeros(1, cell.input_size, dtype=like.dtype.to_real(), device=like.device)
        width = sum(pack_part(part).shape[1] for part in cell.initial_state(x))
        # Nought: at first it is a plain truncation.
        self.guess_weight = nn.Parameter(x.new_zeros(width, width))
        self.guess_bias = nn.Parameter(x.new_zeros(width))

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        *own, clock = state
        due = clock.detach() >= self.window
        rows = [pack_part(part) for part in own]
        cut = _Cut.apply(torch.cat(rows, -1), due, self.guess_weight, self.guess_bias)
        parts = cut.split([row.shape[1] for row in rows], dim=-1)
        own = [unpack_part(row, tuple(part.shape[1:]), part.is_complex()) for row, part in zip(parts, own, strict=True)]
        return (*self.cell(x, tuple(own), **wanted), torch.where(due, 1.0, clock.detach() + 1.0))

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        return (*self.cell.initial_state(x), x.new_zeros(len(x), 1))


@dataclass(frozen=True)
class SyntheticGradients(Build):
    """Cut the gradient every `window` steps, as `TruncatedBackpropagation` does, and guess what is cut off.

    The guess is linear in the state, one for each layer and direction; its weights are parameters of the model and begin at
    0, as a plain truncation. They learn in the same backward pass, from the sum of squares over the sequences, whatever the
    loss is. All windows of a sequence are run with the same weights: what the paper saves in memory by letting go of each
    window is not saved here. The count is a part of the state, "clock", without gradient. Runs as a plain loop.

    Attributes:
        window: Steps from one cut to the next.

    Raises:
        ValueError: For a window below 1.
    """

    paper = Paper(
        "Jaderberg, Czarnecki, Osindero, Vinyals, Graves, Silver & Kavukcuoglu",
        2017,
        "Decoupled Neural Interfaces using Synthetic Gradients",
        "https://arxiv.org/abs/1608.05343",
        where="for recurrent networks; cut at the end of each window",
    )
    checked = (
        "the paper's rule, and others' code: hannw/sgrnn model.py @ 5180f53f58, a linear guess; omarschall/vanilla-rtrl "
        "DNI.py @ 8a59603e12, linear in state and label, cut at every step. The second begins at random numbers, this at 0"
    )
    invariant = (
        "The gradient that crosses a cut is the guess, whatever arrives there; trained, the guess comes closer to that."
    )
    window: int = 20

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"SyntheticGradients needs a window >= 1, got {self.window}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell.

        Raises:
            ValueError: For a layer that is told to run compiled.
        """
        run_as_plain_loop(layer, "SyntheticGradients")
        return wrap(layer, partial(_Guessing, window=self.window))
