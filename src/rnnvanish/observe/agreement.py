"""Whether two runs of a model gave the same numbers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.numerics.norms import as_real
from rnnvanish.numerics.real_view import is_number

#: Objects inside of objects that are looked into, for the tensors of what a model returns.
DEPTH = 4
#: What two runs in half precision may differ by.
HALF = 3e-2


def tensors_in(output: Any, depth: int = DEPTH) -> list[Tensor]:
    """The tensors of numbers that a model returned, in containers or as attributes (of a distribution, a dataclass)."""
    found: list[Tensor] = []
    for leaf in tree_leaves(output, is_leaf=lambda value: isinstance(value, PackedSequence)):
        if isinstance(leaf, PackedSequence | Tensor):
            found.append(leaf.data if isinstance(leaf, PackedSequence) else leaf)
        elif depth and not isinstance(leaf, nn.Module | type) and hasattr(leaf, "__dict__"):
            found += tensors_in(dict(vars(leaf)), depth - 1)
    return [each for each in found if is_number(each)]


def numeric_tensors(output: Any) -> list[Tensor]:
    """The numbers that a model returned, complex ones as two."""
    return [as_real(each.detach()) for each in tensors_in(output)]


def agree(watched: list[Tensor], ordinary: list[Tensor], autocast: bool = False) -> bool:
    """Whether two runs differ by rounding at most, relative to the largest number of each output.

    Args:
        watched: What one run returned.
        ordinary: What the other did.
        autocast: Whether one of them ran under torch.autocast: then a number in single precision may come of some in half.
    """
    return len(watched) == len(ordinary) and all(
        ours.shape == theirs.shape and _close(ours, theirs, autocast)
        for ours, theirs in zip(watched, ordinary, strict=True)
    )


def _close(ours: Tensor, theirs: Tensor, autocast: bool) -> bool:
    """By the coarser of their formats: under autocast a loop may keep more digits than a whole layer."""
    if not ours.numel():
        return True
    coarser = max(ours.dtype, theirs.dtype, key=lambda dtype: torch.finfo(dtype).eps)
    relative = HALF if autocast else {torch.float64: 1e-9, torch.float32: 1e-4}.get(coarser, HALF)
    tolerance = relative * float(theirs.abs().max()) + torch.finfo(coarser).eps
    return float((ours - theirs).abs().max()) <= tolerance
