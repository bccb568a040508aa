r"""Gradient noise: a little of it, less with every step, shakes a network out of a bad start.

g ← g + N(0, σ²)        σ² = η / (1 + t)^γ,  t steps so far
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rnnvanish.cell import Paper
from rnnvanish.mitigation import Rule
from rnnvanish.mitigations.clipping import with_gradient
from rnnvanish.task import stream


@final
@dataclass(frozen=True)
class GradientNoise(Rule):
    """Add normal noise to every number of the gradient, of a variance that falls with the number of steps.

    It counts the steps, in `seen`: so have one for each training, and put `seen` into your checkpoints; `rnnvanish train`
    does. The noise of a step follows from `seed` and its number alone, so that processes which train together add the
    same. Beside clipping, name it after: what is added is not to be cut.

    Args:
        eta: Variance at the first step.
        gamma: How fast it falls.
        seed: Another one draws other noise.

    Raises:
        ValueError: For an eta that is not above 0, and a negative gamma.
    """

    eta: float = 0.01
    gamma: float = 0.55
    seed: int = 0

    paper = Paper(
        "Neelakantan et al.",
        2015,
        "Adding Gradient Noise Improves Learning for Very Deep Networks",
        "https://arxiv.org/abs/1511.06807",
        where="section 3",
    )
    checked = "the schedule as others quote the paper, with γ = 0.55 and the least of its η (0.01, 0.3, 1)"
    usage = "rule = {}  # once\nrule.apply(model.parameters())  # before each optimizer.step()"
    invariant = "What is added has mean 0 and variance η / (1 + t)^γ, and is the same whenever the step is taken again."

    def __post_init__(self) -> None:
        if not (self.eta > 0 and self.gamma >= 0):
            raise ValueError(f"GradientNoise needs eta > 0 and gamma >= 0, got {self.eta} and {self.gamma}.")

    @torch.no_grad()
    def apply(self, parameters: Tensor | Iterable[Tensor]) -> None:
        """Add, and count the step."""
        step = self.seen.get("steps", 0)
        generator, spread = stream("gradient noise", self.seed, step), (self.eta / (1 + step) ** self.gamma) ** 0.5
        for _, gradient in with_gradient(parameters):
            noise = torch.randn(gradient.shape, dtype=gradient.dtype, generator=generator)
            gradient.add_(noise.to(gradient.device), alpha=spread)
        self.seen["steps"] = step + 1
