"""The number that a gradient starts from."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from rnnvanish.backward.end_point import sum_end_point
from rnnvanish.observe.call import Call
from rnnvanish.observe.record import Run

#: What a gradient starts from: a function of what the model returns, or of that and the batch; or the name of a method
#: of the model that takes the batch, "training_step".
Loss = Callable[..., Tensor] | str | None


def evaluate_loss(model: nn.Module, call: Call, output: Any, runs: list[Run], loss: Loss) -> Tensor:
    """The number that the gradient starts from.

    Raises:
        ValueError: Where it is none.
    """
    if loss is None:
        value: Any = sum_end_point(model, output, runs)
    elif isinstance(loss, str):
        value = output["loss"] if isinstance(output, dict) and "loss" in output else output
    else:
        value = loss(output, call.batch) if _takes_batch(loss) else loss(output)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(f"The loss must be a tensor of one number, got {getattr(value, 'shape', value)}.")
    return value


def _takes_batch(loss: Callable[..., Tensor]) -> bool:
    try:
        parameters = inspect.signature(loss).parameters.values()
    except ValueError:  # one of torch's own, such as torch.sum
        return False
    needed = [each for each in parameters if each.default is each.empty]
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in needed) > 1
