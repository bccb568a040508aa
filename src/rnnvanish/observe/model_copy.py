"""Copies of a model, to run apart from its training; and which of its modules hold others."""

import copy
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from torch import Tensor, nn

from rnnvanish.observe.restore.stand_ins import stand_ins


def detached_copy(value: Tensor) -> Tensor:
    """A copy that holds on to no graph, and that the rest of the training step cannot change."""
    return value.detach().clone()


def modules_holding(model: nn.Module, inner: Iterable[nn.Module]) -> dict[str, nn.Module]:
    """The modules that hold one of these, by name: the outer before the inner."""
    wanted = set(map(id, inner))
    return {
        name: module
        for name, module in model.named_modules()
        if id(module) not in wanted and not wanted.isdisjoint(map(id, module.modules()))
    }


def copy_model(model: nn.Module) -> nn.Module:
    """A copy to run: what its forward counts, consumes, remembers or logs is the copy's own.

    Data sets and whatever else brings data are shared. A tensor of somebody's graph becomes a number. Of what cannot be
    copied, such as a lock, a log or a generator, it has a stand-in: see `restore.stand_ins`.

    Raises:
        ValueError: Where something in it cannot be copied.
    """
    try:
        other = copy.deepcopy(model, stand_ins(model))
    except Exception:  # noqa: BLE001  # something in it says too late that it cannot be copied
        other = _copy_carefully(model)
    for ours, theirs in zip(other.modules(), model.modules(), strict=True):
        if any(kind.__name__ == "LightningModule" for kind in type(theirs).__mro__):
            with suppress(RuntimeError):  # it has none
                ours.trainer = theirs.trainer  # which is not copied
            vars(ours).update(log=_silent, log_dict=_silent)  # what is logged twice is averaged
    return other


def _copy_carefully(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model, stand_ins(model, careful=True))
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} can only be measured in a copy, so that a second run uses nothing up, and cannot be "
            f"copied: {type(error).__name__}: {error}. Let it hold what cannot be copied outside of its attributes."
        ) from error


def _silent(*args: Any, **kwargs: Any) -> None:
    """Log nothing."""
