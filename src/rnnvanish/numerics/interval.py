"""A mean over batches, and how sure it is."""

import math

import torch
from torch import Tensor

#: Probability that an interval holds the true mean, where batches are alike and their values normally distributed.
CONFIDENCE = 0.95


def confidence_interval(values: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the ends of Student's interval of the mean over the first axis; nan where fewer than two values are.

    Args:
        values: One row a batch; nan where a batch has no value.

    Examples:
        >>> low, high = confidence_interval(torch.tensor([1.0, 2.0, 3.0]))
        >>> round(float(low), 3), round(float(high), 3)
        (-0.484, 4.484)
    """
    there = ~values.isnan()
    count = there.sum(0)
    mean = values.nanmean(0)
    squares = torch.where(there, values - mean, 0.0).square().sum(0)
    quantiles = torch.tensor(
        [math.nan, math.nan, *(student_quantile(n) for n in range(1, len(values)))], dtype=values.dtype
    )
    half = quantiles[count] * (squares / (count - 1) / count).sqrt()
    return mean - half, mean + half


def student_quantile(freedom: int) -> float:
    """Compute the quantile t of Student's distribution with P(|x| < t) = 0.95 (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    low, high = 0.0, 1e3
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _probability_within(middle, freedom) < CONFIDENCE else (low, middle)
    return middle


def _probability_within(t: float, freedom: int) -> float:
    """Probability that a number from Student's distribution lies between -t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    term, total = (math.cos(angle), 0.0) if freedom % 2 else (1.0, 0.0)
    for n in range(1 + freedom % 2, freedom, 2):
        total += term
        term *= math.cos(angle) ** 2 * n / (n + 1)
    if freedom % 2:
        return (angle + math.sin(angle) * total) * 2 / math.pi
    return math.sin(angle) * total
