r"""Gradient clipping: a step that would be too long is shortened. A short one stays as short as it is.

    by norm       g ← g min(1, threshold / ‖g‖)        ‖g‖ over all parameters: the direction stays
    by value      gᵢ ← min(max(gᵢ, −t), t)             each number by itself: the direction changes
    adaptive      gᵢ ← gᵢ min(1, ratio ‖wᵢ‖ / ‖gᵢ‖)    each unit against the size of its own weights

Against exploding gradients alone: what has vanished cannot be brought back by shortening.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

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
    invariant = "After clipping the norm is the smaller of threshold and norm; a gradient below it is not changed."

    def __post_init__(self) -> None:
        _need_positive(self, "threshold", self.threshold)

    def apply(self, parameters: Iterable[nn.Parameter]) -> None:
        """Scale."""
        nn.utils.clip_grad_norm_(parameters, self.threshold)


@final
@dataclass(frozen=True)
class ClipValue(Rule):
    """Cut every number of the gradient off at a threshold.

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
    invariant = "After clipping no number is larger than the threshold, and none below it is changed."

    def __post_init__(self) -> None:
        _need_positive(self, "threshold", self.threshold)

    def apply(self, parameters: Iterable[nn.Parameter]) -> None:
        """Cut off."""
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.clamp_(-self.threshold, self.threshold)


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
    invariant = (
        "After clipping each unit's gradient is at most the ratio times its weights; a smaller one is not changed."
    )

    def __post_init__(self) -> None:
        _need_positive(self, "ratio", self.ratio)
        _need_positive(self, "least", self.least)

    @torch.no_grad()
    def apply(self, parameters: Iterable[nn.Parameter]) -> None:
        """Scale, unit by unit."""
        for parameter in parameters:
            if parameter.grad is not None:
                limit = self.ratio * _unit_norm(parameter).clamp(min=self.least)
                norm = _unit_norm(parameter.grad)
                parameter.grad.copy_(torch.where(norm > limit, parameter.grad * (limit / norm), parameter.grad))


def _unit_norm(x: Tensor) -> Tensor:
    """Norm of each row of a matrix, of a bias as a whole; broadcasts against `x`."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim())) if x.dim() > 1 else None, keepdim=True)
    return norm


def _need_positive(rule: Rule, name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{type(rule).__name__} needs {name} > 0, got {value}.")
