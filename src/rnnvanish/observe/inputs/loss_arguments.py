"""What a loss takes beside what the model returns: nothing, the batch, or the targets in it."""

import re
from collections.abc import Callable
from typing import Any

from torch import nn

from rnnvanish.observe.inputs.attempt import describe
from rnnvanish.observe.inputs.forms import Parameters, named_parts
from rnnvanish.observe.inputs.lightning import STEPS

#: Names of a parameter that takes targets, not the batch.
TARGET = re.compile(r"(?i)target|label|truth|expected|^y(_true)?$")


def loss_arguments(loss: Callable[..., Any], batch: Any, beside: tuple[Any, ...]) -> tuple[Any, ...]:
    """What `loss` is given beside what the model returns.

    Args:
        loss: Takes what the model returns, and more.
        batch: What a user, or a loader, gives.
        beside: What of it the model is not given.

    Raises:
        ValueError: Where it needs what the batch has not.
    """
    if isinstance(getattr(loss, "__self__", None), nn.Module) and loss.__name__ in STEPS:
        raise ValueError(
            f"{loss.__name__} takes a batch, not what the model returns: give its name, loss={loss.__name__!r}."
        )
    needed = Parameters.of(loss.forward if isinstance(loss, nn.Module) else loss).needed[1:]
    if not needed:
        return ()
    if len(needed) == 1 and not TARGET.search(needed[0]):
        return (batch,)
    held = named_parts(batch) or {}
    if set(needed) <= set(held):
        return tuple(held[name] for name in needed)
    if len(beside) >= len(needed):
        return beside[-len(needed) :]
    raise ValueError(
        f"The loss {_name(loss)} takes {', '.join(needed)} beside what the model returns, and the batch, {describe(batch)}, "
        f"has {len(beside) or 'nothing'} beside what the model takes: give (inputs, targets) as the batch, or a "
        "function of what the model returns and the batch: loss=lambda output, batch: ..."
    )


def _name(loss: Callable[..., Any]) -> str:
    return getattr(loss, "__name__", type(loss).__name__)
