r"""Clipping by the gradient's own history: a step that is long beside those before it is shortened.

    g ← g min(1, η / ‖g‖)        η the percentile of ‖g‖ over all steps so far, this one included

There is no threshold to be found: it follows the training, down as the gradient becomes smaller.
"""

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rnnvanish.cell import Paper
from rnnvanish.mitigation import Rule
from rnnvanish.mitigations.clipping import ClipNorm, total_norm, with_gradient


@final
@dataclass(frozen=True)
class AutoClip(Rule):
    """Scale the whole gradient down to a percentile of the norms that it has had.

    It keeps a number for each step, in `seen`: so have one for each training, and put `seen` into your checkpoints;
    `rnnvanish train` does. A norm that is zero, infinite or not a number is no part of the history.

    Args:
        percentile: Of the norms so far; 100 shortens nothing, and the paper's 10 nearly every step.

    Raises:
        ValueError: For a percentile outside [0, 100].
    """

    percentile: float = 10.0

    paper = Paper(
        "Seetharaman, Wichern, Pardo & Le Roux",
        2020,
        "AutoClip: Adaptive Gradient Clipping for Source Separation Networks",
        "https://arxiv.org/abs/2007.14469",
    )
    checked = (
        "authors' code, pseeth/autoclip autoclip.py @ dfb622c: this step's norm counts, numpy's linear percentile of all; there "
        "norms that are zero or no number count, too. ZClip (2025), by a mean and a spread that fade, was the other candidate"
    )
    usage = "rule = {}  # once\nrule.apply(model.parameters())  # before each optimizer.step()"
    clips = True
    invariant = (
        "After clipping the norm is at most the percentile of the norms so far; a gradient below it is not changed."
    )

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise ValueError(f"AutoClip needs a percentile in [0, 100], got {self.percentile}.")

    @torch.no_grad()
    def apply(self, parameters: Tensor | Iterable[Tensor]) -> None:
        """Scale, and note the norm."""
        weights = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        gradients = [gradient for _, gradient in with_gradient(weights)]
        if not gradients:
            return
        scale, length = total_norm(gradients)
        norm, norms = scale.item() * length.item(), self.seen.setdefault("norms", [])
        if norm > 0 and math.isfinite(norm):
            bisect.insort(norms, norm)
        if norms:
            ClipNorm(_percentile(norms, self.percentile)).apply(weights)


def _percentile(ordered: list[float], percentile: float) -> float:
    """Between the two nearest of them, in proportion."""
    place = (len(ordered) - 1) * percentile / 100
    below, part = int(place), place % 1
    return ordered[below] if part == 0 else ordered[below] + part * (ordered[below + 1] - ordered[below])
