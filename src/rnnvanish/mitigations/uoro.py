r"""Unbiased online recurrent optimisation: the gradient goes forward with the state, as a product of two vectors.

    G_t = J_t G_{t−1} + ∂F/∂θ              how the state s_t depends on the weights θ: exact, but of size state · weights
    G_t ≈ s̃_t θ̃_tᵀ                         right on average:
      s̃_t = ρ₀ J_t s̃_{t−1} + ρ₁ ν          ν: random signs
      θ̃_t = θ̃_{t−1} / ρ₀ + νᵀ ∂F/∂θ / ρ₁    ρ₀, ρ₁ make both vectors of one size
    dL/dθ = Σ_t δ_tᵀ (J_t s̃_{t−1} θ̃_{t−1}ᵀ + ∂F/∂θ)     δ_t: what the loss says of s_t itself

Nothing is ever sent back through time, so nothing is truncated: what is carried from window to window tells of all that
was before. It is no cure for a gradient that vanishes, which is right on average and as small; and it is noisy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

from rnnvanish.cell import Cell, Paper, State, has_output
from rnnvanish.mitigation import Build, Wrapper, wrap
from rnnvanish.recurrent import Recurrent

#: Keeps ρ₀ and ρ₁ from being 0, or a division by 0.
SMALL = 1e-7


class _Forward(Wrapper):
    """Its state carries s̃, "influence", and θ̃, "weights", of each sequence by itself."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell, ("influence", "weights"), helpers=("influence", "weights"))

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        *own, influence, weights = state
        if not self.training or not torch.is_grad_enabled():
            return (*self.cell(x, tuple(own), **wanted), influence, weights)
        if x.requires_grad:
            raise ValueError(
                "UORO gives a gradient to the layer's own weights alone: what the layer reads must not want one. Detach it, "
                "or leave UORO out."
            )
        learnt = {name: weight for name, weight in self.cell.named_parameters() if weight.requires_grad}
        told = weights.detach() @ torch.cat([weight.flatten() for weight in learnt.values()])
        # Nought, with the gradient s̃ θ̃ᵀ: that of a state that was never cut off, on average.
        past = influence.detach() * (told - told.detach())[:, None]
        before = tuple(part.detach() for part in own)
        entered = tuple(part + more for part, more in zip(before, _as_parts(past, before), strict=True))
        return (*self.cell(x, entered, **wanted), *self._advance(x, before, influence, weights, learnt, wanted))

    @torch.no_grad()
    def _advance(
        self,
        x: Tensor,
        before: State,
        influence: Tensor,
        weights: Tensor,
        learnt: dict[str, nn.Parameter],
        wanted: dict[str, Tensor | None],
    ) -> tuple[Tensor, Tensor]:
        """The two vectors after a step."""
        given = {name: value for name, value in wanted.items() if value is not None}

        def step(weights: dict[str, Tensor], x: Tensor, before: State, given: dict[str, Tensor]) -> Tensor:
            after = functional_call(self.cell, weights, (x, before), given)
            return torch.cat([part.flatten(1) for part in after], dim=-1)

        def projected(
            weights: dict[str, Tensor], x: Tensor, before: tuple[Tensor, ...], given: Any, signs: Tensor
        ) -> Tensor:
            """Of one sequence."""
            alone = step(weights, x[None], tuple(part[None] for part in before), {n: v[None] for n, v in given.items()})
            return (alone[0] * signs).sum()

        frozen = {name: weight.detach() for name, weight in learnt.items()}
        carried = jvp(lambda *own: step(frozen, x, own, given), before, _as_parts(influence, before))[1]
        signs = random_signs(influence)
        by_sequence = vmap(grad(cast(Callable[..., Any], projected)), in_dims=(None, 0, 0, 0, 0))
        told = by_sequence(frozen, x, before, given, signs)
        told = torch.cat([told[name].flatten(1) for name in learnt], dim=-1)
        size = torch.linalg.vector_norm
        first = (size(weights, dim=1) / (size(carried, dim=1) + SMALL)).sqrt()[:, None] + SMALL
        second = (size(told, dim=1) / (size(signs, dim=1) + SMALL)).sqrt()[:, None] + SMALL
        return first * carried + second * signs, weights / first + told / second

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        own = self.cell.initial_state(x)
        width = sum(part[0].numel() for part in own)
        learnt = sum(weight.numel() for weight in self.cell.parameters() if weight.requires_grad)
        return (*own, x.new_zeros(len(x), width), x.new_zeros(len(x), learnt))


def random_signs(like: Tensor) -> Tensor:
    """Numbers that are 1 or -1, as many as there are."""
    return torch.randint(0, 2, like.shape, device=like.device).to(like) * 2 - 1


def _as_parts(row: Tensor, like: State) -> State:
    """What stands in one row for each sequence, as the parts of a state."""
    pieces = row.split([part[0].numel() for part in like], dim=-1)
    return tuple(piece.reshape(part.shape) for piece, part in zip(pieces, like, strict=True))


@dataclass(frozen=True)
class UORO(Build):
    """Estimate the gradient of a layer's weights forward in time, in training; in evaluation nothing is changed.

    The two vectors are parts of the state, "influence" and "weights": hand the state to the next window, detached or by
    `WarmState`, and the estimate reaches across. The second is as long as the layer has weights, for each sequence, and is
    kept for each step of a window until its backward pass. Runs as a plain loop.

    Raises:
        ValueError: For more than one layer or direction, for a cell that hands on something else than its state, or has a
            state that is not of real numbers; in training, for an input that wants a gradient.
    """

    paper = Paper(
        "Tallec & Ollivier", 2018, "Unbiased Online Recurrent Optimization", "https://arxiv.org/abs/1702.05043"
    )
    checked = (
        "the paper's algorithm by others' code: petered/uoro-demo uoro.py @ 18ba33f695 (signs, both vectors from 0) and "
        "omarschall/vanilla-rtrl UORO.py @ ab8c616f5f. They disagree on where the small number stands (here as in the second), "
        "and the first has one pair of vectors for a whole batch, here each sequence has its own; J s̃ is exact, not a "
        "difference"
    )
    invariant = (
        "On average over its signs the gradient of the weights is that through the whole sequence, also once trained."
    )
    needs = "one layer that reads forward, and hands on its state"

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap the cell."""
        if len(layer.cells) > 1:
            raise ValueError(
                "UORO needs one layer in one direction: what a layer sends to the one below would have to go back in time."
            )
        cell = cast(Cell, layer.cells[0])
        like = next(cell.parameters())
        state = cell.initial_state(torch.zeros(1, cell.input_size, dtype=like.dtype.to_real(), device=like.device))
        if has_output(cell) or not all(part.is_floating_point() for part in state):
            raise ValueError(
                f"UORO needs a cell that hands on its state, of real numbers, as an LSTM or GRU does; got {type(cell).__name__}."
            )
        return wrap(layer, _Forward)
