r"""Normalised backpropagation: the gradient is brought back to its length at each step through time.

    g_{t−1} ← g_{t−1} ‖g_t‖ / ‖g_{t−1}‖        g_t = dL/ds_t, of each sequence by itself

The direction is that of the gradient, the length is kept: it can neither vanish nor explode. It is the gradient of
nothing any more, and a loss far back counts as much as one nearby.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnvanish.cell import Paper, State
from rnnvanish.mitigation import Build, Wrapper, run_as_plain_loop, wrap
from rnnvanish.numerics.real_view import is_number
from rnnvanish.recurrent import Recurrent


class _Length:
    """The length of the gradient behind a step, (batch,), once the way back has passed there."""

    value: Tensor


class _Behind(torch.autograd.Function):
    """Behind a step: the identity, which notes the length of the gradient."""

    @staticmethod
    def forward(ctx: Any, length: _Length, *parts: Tensor) -> State:
        ctx.length = length
        return tuple(part.view_as(part) for part in parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        ctx.length.value = _length(gradients)
        return None, *gradients


class _Before(torch.autograd.Function):
    """Before a step: the identity, which gives the gradient the length that it had behind the step."""

    @staticmethod
    def forward(ctx: Any, length: _Length, *parts: Tensor) -> State:
        ctx.length = length
        return tuple(part.view_as(part) for part in parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        own = _length(gradients)
        factor = torch.where(own > 0, ctx.length.value / own, 0.0)
        return None, *(each * factor.view(-1, *[1] * (each.dim() - 1)).to(each.real.dtype) for each in gradients)


def _length(gradients: tuple[Tensor, ...]) -> Float[Tensor, " batch"]:
    """In double precision: no square of a single number is lost."""
    norms = [torch.linalg.vector_norm(each.flatten(1), dim=-1) for each in map(_double, gradients)]
    length: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    return length


def _double(gradient: Tensor) -> Tensor:
    return gradient.to(torch.complex128 if gradient.is_complex() else torch.float64)


class _Normalised(Wrapper):
    @property
    def hands_back_derivative(self) -> bool:
        """Never."""
        return False

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        length = _Length()
        before = self._through(_Before, length, state)
        return self._through(_Behind, length, super().forward(x, before, **wanted))

    def _through(self, node: type[torch.autograd.Function], length: _Length, state: State) -> State:
        """Memory goes through the node; what is carried beside it, and what is no number, goes by."""
        names = zip(self.state_names, state, strict=True)
        places = [place for place, (name, part) in enumerate(names) if name not in self.helpers and is_number(part)]
        passed = dict(zip(places, cast(Any, node).apply(length, *(state[place] for place in places)), strict=True))
        return tuple(passed.get(place, part) for place, part in enumerate(state))


@dataclass(frozen=True)
class NormalisedBackpropagation(Build):
    """Keep the length of the gradient by the whole state, at every step back, also in evaluation.

    Values are those of the plain layer, which runs as a plain loop from here on. `probes.retention` shows what training
    gets; what takes steps again (Jacobians, shares) refuses. Where a gradient is exactly zero it stays zero.
    """

    paper = Paper(
        "Cabana & Lago-Fernández",
        2021,
        "Backward Gradient Normalization in Deep Neural Networks",
        "https://arxiv.org/abs/2106.09475",
    )
    checked = (
        "the paper's abstract: nodes that leave values alone and rescale the gradient. That they stand between time steps, and "
        "that the length is that behind the step, of each sequence by itself, is ours"
    )
    invariant = (
        "Outputs are those of the plain layer, and the gradient of a loss at the end has one length at every lag."
    )

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell.

        Raises:
            ValueError: For a layer that is told to run compiled.
        """
        run_as_plain_loop(layer, "NormalisedBackpropagation")
        return wrap(layer, _Normalised)
