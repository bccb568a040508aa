"""What a loss takes beside what the model returns: nothing, the batch, or the targets in it."""

import re
from collections.abc import Callable
from typing import Any

from torch import nn

from rnnvanish.observe.inputs.attempt import describe
from rnnvanish.observe.inputs.forms import Parameters, named_parts
from rnnvanish.observe.inputs.lightning import STEPS

#: Names of a parameter that takes targets, and of one that takes the batch.
TARGET = re.compile(r"(?i)target|label|truth|expected|^y(_true)?$")
WHOLE = re.compile(r"(?i)batch|data|example|sample|item|input|^[bx]$")


def apply_loss(loss: Callable[..., Any], output: Any, batch: Any, beside: tuple[Any, ...]) -> Any:
    """Call `loss` with what the model returns, and what it takes besides.

    A parameter whose name does not say whether it is the batch or the targets is given the batch, and where that fails the
    targets.

    Args:
        loss: Takes what the model returns, and more.
        output: What the model returns.
        batch: What a user, or a loader, gives.
        beside: What of it the model is not given.

    Raises:
        ValueError: Where it needs what the batch has not, or runs with neither.
    """
    needed = _needed(loss)
    if len(needed) != 1 or not beside or TARGET.search(needed[0]) or WHOLE.search(needed[0]):
        return loss(output, *_arguments(loss, needed, batch, beside))
    try:
        return loss(output, *_arguments(loss, needed, batch, beside))
    except Exception as with_batch:  # noqa: BLE001  # whatever it says, the targets may be meant
        try:
            return loss(output, beside[-1])
        except Exception as with_targets:
            raise ValueError(
                f"The loss {_name(loss)} takes {needed[0]} beside what the model returns. With the batch, {describe(batch)}: "
                f"{with_batch}. With what of it the model does not take, {describe(beside[-1])}: {with_targets}. Call "
                "the parameter batch or target, so that only that is tried."
            ) from with_targets


def _needed(loss: Callable[..., Any]) -> list[str]:
    """The names of what it takes beside what the model returns."""
    if isinstance(getattr(loss, "__self__", None), nn.Module) and loss.__name__ in STEPS:
        raise ValueError(
            f"{loss.__name__} takes a batch, not what the model returns: give its name, loss={loss.__name__!r}."
        )
    return list(Parameters.of(loss.forward if isinstance(loss, nn.Module) else loss).needed[1:])


def _arguments(loss: Callable[..., Any], needed: list[str], batch: Any, beside: tuple[Any, ...]) -> tuple[Any, ...]:
    if not needed:
        return ()
    held = named_parts(batch) or {}
    if set(needed) <= set(held):
        return tuple(held[name] for name in needed)
    if len(needed) == 1 and not TARGET.search(needed[0]):
        return (batch,)
    if len(beside) >= len(needed):
        return beside[-len(needed) :]
    raise ValueError(
        f"The loss {_name(loss)} takes {', '.join(needed)} beside what the model returns, and the batch, {describe(batch)}, "
        f"has {len(beside) or 'nothing'} beside what the model takes: give (inputs, targets) as the batch, or a "
        "function of what the model returns and the batch: loss=lambda output, batch: ..."
    )


def _name(loss: Callable[..., Any]) -> str:
    return getattr(loss, "__name__", type(loss).__name__)
