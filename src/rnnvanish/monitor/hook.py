"""Hooks that stay with the object they were put on: a copy of it, or what is pickled of it, does not have them."""

from collections.abc import Callable
from typing import Any

from torch import nn

from rnnvanish.compat.modules import drop_hooks


class Hook:
    """Calls a function; its copies do nothing."""

    __torch_unserializable__ = True  # to save the object is no reason for a warning

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Call the function; what it gives changes nothing."""
        self.function(*args, **kwargs)

    def __deepcopy__(self, memo: Any) -> Callable[..., None]:
        return do_nothing

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _nothing, ()


def do_nothing(*args: Any, **kwargs: Any) -> None:
    """What is left of a hook in a copy."""


def _nothing() -> Callable[..., None]:
    return do_nothing


def drop_copied_hooks(model: nn.Module) -> None:
    """Take away what is left of hooks in a copy of a model."""
    for module in model.modules():
        drop_hooks(module, do_nothing)
