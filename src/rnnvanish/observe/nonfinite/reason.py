"""Why an operation gives a nan or an infinity, as far as what it was given shows that."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

#: Operations by what goes wrong in them.
LOGARITHMS = {"log", "log2", "log10", "log1p"}
DIVISIONS = {"div", "truediv", "divide", "true_divide", "itruediv", "div_", "rdiv", "rtruediv", "reciprocal"}
SOFTMAXES = {"softmax", "log_softmax"}
FULL_ROW = "a whole row of what it is given is minus infinity: nothing in it is left to choose from"
ROOTS = {"sqrt", "rsqrt", "pow", "ipow"}


def reason(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], made: Sequence[Tensor]) -> str:
    """Why what was made is not finite; "" where that does not show."""
    given = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor) and each.is_floating_point()]
    first = given[0].detach() if given else torch.empty(0)
    if name in LOGARITHMS and (found := _has_zero_or_less(first + 1 if name == "log1p" else first)):
        return f"it takes the logarithm of {found}"
    if name in DIVISIONS and _divides_by_zero(name, args):
        return "it divides by 0"
    if name in SOFTMAXES and bool(first.isneginf().all(_axis(args, kwargs)).any()):
        return FULL_ROW
    if name in ROOTS and bool((first < 0).any()) and any(bool(each.isnan().any()) for each in made):
        return "it takes the root of a number below 0"
    if any(bool(each.isinf().any()) for each in made) and all(bool(each.isfinite().all()) for each in given):
        dtype = made[0].dtype
        return f"its result is too large for {str(dtype).removeprefix('torch.')}, which ends at {torch.finfo(dtype).max:.3g}"
    return ""


def reason_of_slope(name: str, made: Sequence[Tensor]) -> str:
    """Why the derivative of what was made is not finite; "" where that does not show."""
    at_zero = name in ROOTS and any(bool((each == 0).any()) for each in made)
    return "a root has no finite slope at 0" if at_zero else ""


def _has_zero_or_less(values: Tensor) -> str:
    return "a number below 0" if bool((values < 0).any()) else "0" if bool((values == 0).any()) else ""


def _divides_by_zero(name: str, args: Sequence[Any]) -> bool:
    below = args[0] if name.startswith("r") else args[1] if len(args) > 1 else 1
    return bool((below == 0).any()) if isinstance(below, Tensor) else below == 0


def _axis(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    axis = kwargs.get("dim", args[1] if len(args) > 1 else -1)
    return axis if isinstance(axis, int) else -1
