"""A penalty: a mitigation that is a part of the loss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from rnnvanish.mitigation.mitigation import Mitigation


@dataclass(frozen=True)
class Penalty(Mitigation):
    """Acts as a part of the loss."""

    moment = "in the loss"
    usage = "(loss(model(inputs)) + {}.penalty(model, inputs, loss)).backward()"

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute what is added to `loss(model(*inputs))`, with a graph that leads to the weights."""
        raise NotImplementedError(f"{type(self).__name__} needs a penalty(model, inputs, loss) -> tensor.")
