"""Whether two runs of a model gave the same numbers."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.compat import tree_leaves
from rnnvanish.numerics.norms import as_real


def numeric_tensors(output: Any) -> list[Tensor]:
    """The numbers that a model returned."""
    leaves = tree_leaves(output, is_leaf=lambda value: isinstance(value, PackedSequence))
    tensors = [leaf.data if isinstance(leaf, PackedSequence) else leaf for leaf in leaves]
    found = [leaf.detach() for leaf in tensors if isinstance(leaf, Tensor)]
    return [as_real(leaf) for leaf in found if leaf.is_floating_point() or leaf.is_complex()]


def agree(watched: list[Tensor], ordinary: list[Tensor]) -> bool:
    """Whether two runs differ by rounding at most, relative to the largest number of each output."""
    return len(watched) == len(ordinary) and all(
        ours.shape == theirs.shape and _close(ours, theirs) for ours, theirs in zip(watched, ordinary, strict=True)
    )


def _close(ours: Tensor, theirs: Tensor) -> bool:
    """By the coarser of their formats: under autocast a loop may keep more digits than a whole layer."""
    if not ours.numel():
        return True
    coarser = max(ours.dtype, theirs.dtype, key=lambda dtype: torch.finfo(dtype).eps)
    relative = {torch.float64: 1e-9, torch.float32: 1e-4}.get(coarser, 3e-2)
    tolerance = relative * float(theirs.abs().max()) + torch.finfo(coarser).eps
    return float((ours - theirs).abs().max()) <= tolerance
