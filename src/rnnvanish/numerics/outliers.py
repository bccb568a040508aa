"""Outliers: a few numbers of a size beyond all the others."""

from jaxtyping import Bool, Float
from torch import Tensor

#: How many times as large as a typical one.
TIMES = 100.0
#: The part of all that a few can be.
FEW = 0.3


def outliers(size: Float[Tensor, "*any"], times: float = TIMES) -> Bool[Tensor, "*any"]:
    """Which of some sizes are not finite, or so many times the median of those that are not zero.

    None where they are more than three tenths of all: then they are no exception.

    Examples:
        >>> import torch
        >>> outliers(torch.tensor([1.0] * 20 + [99.0, torch.inf])).nonzero().flatten().tolist()
        [21]
    """
    there = size[size > 0]
    if not len(there):
        return size.isnan()
    far = ~size.isfinite() | (size > times * there.median())
    return far & (far.double().mean() <= FEW)
