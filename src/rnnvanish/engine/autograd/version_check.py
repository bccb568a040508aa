"""What is computed again on the way back must start from what it was computed from.

torch knows when a tensor that it has saved is changed before it is used. Checkpointing saves none: a step computed again
from other numbers would be another step, and its gradient wrong without a word.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

from torch import Tensor

from rnnvanish.compat.tensors import version

P = ParamSpec("P")
R = TypeVar("R")


def check_versions(function: Callable[P, R], tensors: Iterable[Tensor]) -> Callable[P, R]:
    """Have `function` raise the RuntimeError of torch where one of `tensors` has been changed in place since now."""
    known = [(tensor, version(tensor)) for tensor in tensors]

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for tensor, before in known:
            if version(tensor) != before:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"a tensor of shape {tuple(tensor.shape)} is at version {version(tensor)}; expected version "
                    f"{before} instead. checkpoint_every computes steps from it again: change a copy of it."
                )
        return function(*args, **kwargs)

    return call
