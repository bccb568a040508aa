r"""Loss scaling: in half precision a gradient is made large before it goes back, so that it is not rounded to zero.

    loss ← S loss,  and after the backward pass  g ← g / S        S a power of two, which costs no digit

What is below 6e-8 is zero in half precision, and a gradient that vanishes is there soon. Where S was too large, numbers
overflow: that step is left out, and S halved. After many good ones S is doubled.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from rnnvanish.cell import Paper
from rnnvanish.mitigation import Rule
from rnnvanish.mitigations.clipping import with_gradient


@final
@dataclass(frozen=True)
class LossScaling(Rule):
    """Scale the loss up and the gradient down again, by as much as half precision holds.

    Weights, and so their gradients, need single precision: what runs in half is a matter of `torch.autocast`. A step that
    is left out has no gradient, which optimisers pass over. The scale is kept in `seen`: so have one for each training, and
    put `seen` into your checkpoints; `rnnvanish train` does, where it changes nothing: all of that is single precision.
    Beside other rules it comes first.

    Args:
        start: S at the first step, a power of two.
        interval: Good steps after which S is doubled.

    Raises:
        ValueError: For a start that is not a power of two, and an interval below 1.
    """

    start: float = 65536.0
    interval: int = 2000

    paper = Paper(
        "Micikevicius et al.",
        2018,
        "Mixed Precision Training",
        "https://arxiv.org/abs/1710.03740",
        where="section 3.2",
    )
    checked = "torch.amp.GradScaler of torch 2.13: 2¹⁶ to begin with, halved by what is not finite, doubled after 2000 good steps"
    invariant = (
        "Where nothing overflows the gradient is that of the plain loss, but for what half precision rounds to zero."
    )
    needs = "a gradient in single precision"
    usage = (
        "rule = {}  # once\n"
        "rule.scale(loss(model(inputs))).backward()\n"
        "rule.apply(model.parameters())  # before each optimizer.step()"
    )

    def __post_init__(self) -> None:
        if not (self.start > 0 and math.frexp(self.start)[0] == 0.5):
            raise ValueError(f"LossScaling needs a power of two to start with, got {self.start}.")
        if self.interval < 1:
            raise ValueError(f"LossScaling needs an interval >= 1 step, got {self.interval}.")

    def scale(self, loss: Tensor) -> Tensor:
        """Multiply by S."""
        return loss * float(self.seen.setdefault("scale", self.start))

    @torch.no_grad()
    def apply(self, parameters: Tensor | Iterable[Tensor]) -> None:
        """Divide by the S of the last loss, or leave the step out.

        Raises:
            ValueError: For a gradient in half precision, which would be rounded to zero here, after all.
        """
        weights = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        gradients = [gradient for _, gradient in with_gradient(weights)]
        if any(gradient.dtype == torch.float16 for gradient in gradients):
            raise ValueError(
                "LossScaling needs weights in single precision, got float16: leave them so, and run the model under "
                "torch.autocast."
            )
        scale = self.seen.setdefault("scale", self.start)
        if all(bool(gradient.isfinite().all()) for gradient in gradients):
            for gradient in gradients:
                gradient.div_(scale)
            good = self.seen.get("good", 0) + 1
            self.seen.update(scale=2 * scale if good == self.interval else scale, good=good % self.interval)
        else:
            for weight in weights:
                weight.grad = None
            self.seen.update(scale=scale / 2, good=0)
