"""A rule: a mitigation that changes the gradient before the step."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from rnnvanish.mitigation.mitigation import Mitigation


@dataclass(frozen=True)
class Rule(Mitigation):
    """Acts on the gradient, between the backward pass and the step.

    Attributes:
        clips: Whether it bounds the gradient, so that nothing else has to.
        seen: What it keeps of the steps so far, if it does: numbers, and lists of them, that belong into a checkpoint.
    """

    moment = "on the gradient"
    needs = "a gradient, of any weights"
    clips: ClassVar[bool] = False
    usage = "{}.apply(model.parameters())  # before optimizer.step()"
    seen: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def scale(self, loss: Tensor) -> Tensor:
        """Return what the backward pass starts from in the place of `loss`."""
        return loss

    def apply(self, parameters: Tensor | Iterable[Tensor]) -> None:
        """Change the `grad` of `parameters`, an iterable or a single tensor, as `torch.nn.utils` takes them."""
        raise NotImplementedError(f"{type(self).__name__} needs an apply(parameters).")
