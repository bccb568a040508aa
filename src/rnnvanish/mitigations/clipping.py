r"""Gradient clipping: a step that would be too long is shortened.

A short one stays as short as it is.

    by norm       g ← g min(1, threshold / ‖g‖)        ‖g‖ over all parameters: the direction stays
    by value      gᵢ ← min(max(gᵢ, −t), t)             each number by itself: the direction changes
    adaptive      gᵢ ← gᵢ min(1, ratio ‖wᵢ‖ / ‖gᵢ‖)    each unit against the size of its own weights

Against exploding gradients alone: what has vanished cannot be brought back by shortening.

Norms are taken of g / max |g|, in single precision at least: they neither overflow nor underflow in any number format.
A norm that is infinite shortens as in `torch.nn.utils`: finite numbers become 0, infinite ones nan; nan stays nan.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rnnvanish.cell import Paper
from rnnvanish.mitigation import Rule


@final
@dataclass(frozen=True)
class ClipNorm(Rule):
    """Scale the whole gradient down to a norm.

    Args:
        threshold: Largest norm.
    """

    threshold: float = 1.0

    paper = Paper(
        "Pascanu, Mikolov & Bengio",
        2013,
        "On the difficulty of training recurrent neural networks",
        "https://arxiv.org/abs/1211.5063",
    )
    checked = (
        "the paper's algorithm 1; torch.nn.utils.clip_grad_norm_, which adds 1e-6 to the norm. The paper "
        "gives no threshold for all tasks"
    )
    clips = True
    invariant = "After clipping the norm is the smaller of threshold and norm; a gradient below it is not changed."

    def __post_init__(self) -> None:
        _need_positive(self, "threshold", self.threshold)

    @torch.no_grad()
    def apply(self, parameters: Tensor | Iterable[Tensor]) -> None:
        """Scale."""
        gradients = [gradient for _, gradient in with_gradient(parameters)]
        if not gradients:
            return
        scale, length = total_norm(gradients)
        for gradient in gradients:
            limit = torch.full_like(scale, self.threshold, device=gradient.device)
            _shorten(gradient, limit, scale.to(gradient.device), length.to(gradient.device))


@final
@dataclass(frozen=True)
class ClipValue(Rule):
    """Cut every number of the gradient off at a threshold, of a complex one the real and the imaginary part.

    Args:
        threshold: Largest absolute value.
    """

    threshold: float = 1.0

    paper = Paper(
        "Mikolov",
        2012,
        "Statistical Language Models Based on Neural Networks",
        "https://www.fit.vut.cz/study/phd-thesis/283/.en",
    )
    checked = "torch.nn.utils.clip_grad_value_; the thesis cuts at 15, where gradients are sums over a batch"
    clips = True
    invariant = "After clipping no number is larger than the threshold, and none below it is changed."

    def __post_init__(self) -> None:
        _need_positive(self, "threshold", self.threshold)

    @torch.no_grad()
    def apply(self, parameters: Tensor | Iterable[Tensor]) -> None:
        """Cut off."""
        for _, gradient in with_gradient(parameters):
            if gradient.is_complex():
                parts = (part.clamp(-self.threshold, self.threshold) for part in (gradient.real, gradient.imag))
                gradient.copy_(torch.complex(*parts))
            else:
                gradient.clamp_(-self.threshold, self.threshold)


@final
@dataclass(frozen=True)
class AdaptiveClip(Rule):
    """Scale the gradient of each unit down to a part of the norm of its weights.

    Args:
        ratio: Largest norm of a unit's gradient over that of its weights; a unit is a row of a matrix, or a whole bias.
        least: Norm that weights count as having at least, so that those at zero can move.
    """

    ratio: float = 0.01
    least: float = 1e-3

    paper = Paper(
        "Brock, De, Smith & Simonyan",
        2021,
        "High-Performance Large-Scale Image Recognition Without Normalization",
        "https://arxiv.org/abs/2102.06171",
    )
    checked = "authors' code, google-deepmind/deepmind-research nfnets/optim.py @ 68473a2243: ratio 0.01, least 1e-3"
    clips = True
    invariant = (
        "After clipping each unit's gradient is at most the ratio times its weights; a smaller one is not changed."
    )

    def __post_init__(self) -> None:
        _need_positive(self, "ratio", self.ratio)
        _need_positive(self, "least", self.least)

    @torch.no_grad()
    def apply(self, parameters: Tensor | Iterable[Tensor]) -> None:
        """Scale, unit by unit."""
        for weight, gradient in with_gradient(parameters):
            scale, length = _norm(weight)
            limit = self.ratio * (scale * length).clamp(min=self.least)
            _shorten(gradient, limit, *_norm(gradient))


def with_gradient(parameters: Tensor | Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Every tensor that has a gradient, once, and that gradient; of a sparse one the rows that are there."""
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for parameter in [parameters] if isinstance(parameters, Tensor) else parameters:
        gradient = parameter.grad
        if gradient is None or gradient.layout is torch.strided:
            pair = None if gradient is None else (parameter, gradient)
        elif gradient.layout is torch.sparse_coo and gradient.sparse_dim() == 1:
            parameter.grad = gradient.coalesce()  # each row once
            pair = parameter[parameter.grad.indices()[0]], parameter.grad.values()
        else:
            raise ValueError(
                f"Clipping needs dense gradients, or sparse ones of whole rows as nn.Embedding(sparse=True) has, got "
                f"{gradient.layout} of shape {tuple(gradient.shape)}: convert it with to_dense()."
            )
        if pair is not None and pair[1].numel():
            found[id(parameter)] = pair
    return list(found.values())


def total_norm(gradients: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The norm over all gradients, of which there is one at least, as a product of two numbers."""
    home = gradients[0].device
    scale = _scale(torch.stack([_wide(gradient).abs().amax().to(home) for gradient in gradients]).amax())
    lengths = [torch.linalg.vector_norm(_wide(each) / scale.to(each.device)).to(home) for each in gradients]
    return scale, torch.linalg.vector_norm(torch.stack(lengths))


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _norm(x: Tensor) -> tuple[Tensor, Tensor]:
    """The norm of each row of a matrix, of a bias as a whole, as a product of two numbers; they broadcast against `x`."""
    unit = tuple(range(1, x.dim())) if x.dim() > 1 else tuple(range(x.dim()))
    wide = _wide(x)
    scale = _scale(wide.abs().amax(unit, keepdim=True))
    length: Tensor = torch.linalg.vector_norm(wide / scale, dim=unit or None, keepdim=True)
    return scale, length


def _scale(largest: Tensor) -> Tensor:
    return torch.where(largest == 0, 1.0, largest)


def _shorten(gradient: Tensor, limit: Tensor, scale: Tensor, length: Tensor) -> None:
    """Bring `gradient` down to the norm `limit` where its own, scale times length, is larger."""
    wide, factor = _wide(gradient), limit / length
    shorter = torch.where(scale.isfinite(), wide / scale * factor, wide * (limit / scale))
    gradient.copy_(torch.where(factor >= scale, wide, shorter))


def _need_positive(rule: Rule, name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{type(rule).__name__} needs {name} > 0, got {value}.")
