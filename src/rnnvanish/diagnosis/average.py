"""Measures of several batches as one: the mean of every number, and its 95 % interval."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rnnvanish.numerics.interval import confidence_interval


def mean_and_interval(found: Sequence[Any], beyond: float = torch.nan) -> tuple[Any, Any, Any]:
    """Join what was measured on each batch.

    Args:
        found: The same measure of each batch; None where it could not be taken.
        beyond: What a batch has at lags that its sequences do not reach; a class of measures may say its own.

    Returns:
        The same kind of measure, with the mean of every number over the batches that have it; then the lower and the
        upper ends of their intervals, as plain mappings, None where there is none. Of what is no number that of the
        first batch; a unit never moves that moves in no batch.
    """
    values = [value for value in found if value is not None]
    if len(values) < 2:
        return (values[0] if values else None), None, None
    first = values[0]
    if is_dataclass(first):
        beyond = getattr(first, "beyond", beyond)
        parts = {
            each.name: mean_and_interval([getattr(value, each.name) for value in values], beyond)
            for each in fields(first)
        }
        mean, low, high = _apart(parts)
        return replace(first, **mean), low, high  # type: ignore[type-var]
    if isinstance(first, Mapping):
        return _apart({name: mean_and_interval([v[name] for v in values if name in v], beyond) for name in first})
    if isinstance(first, Tensor) and not first.is_floating_point():
        if first.dtype == torch.bool:
            return torch.stack(values).all(0), None, None
        return max(values, key=len), None, None  # lags
    if isinstance(first, float | Tensor):
        rows = _aligned([torch.as_tensor(value, dtype=torch.float64) for value in values], beyond)
        results = rows.nanmean(0), *confidence_interval(rows)
        return tuple(map(float, results)) if isinstance(first, float) else results  # type: ignore[return-value]
    return first, None, None


def _apart(parts: dict[str, tuple[Any, Any, Any]]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    mean, low, high = ({name: each[place] for name, each in parts.items()} for place in range(3))
    return mean, low, high


def _aligned(rows: list[Tensor], beyond: float) -> Tensor:
    """A row for each batch."""
    if rows[0].dim() == 0:
        return torch.stack(rows)
    longest = max(map(len, rows))
    return torch.stack([torch.cat([row, row.new_full((longest - len(row),), beyond)]) for row in rows])
