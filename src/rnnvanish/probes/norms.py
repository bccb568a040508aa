"""Norms of gradients lag by lag, of numbers whose squares no format holds, and what a format cannot tell from zero."""

import torch
from jaxtyping import Float
from torch import Tensor

#: Norms of the gradient at each lag, sequence by sequence; nan beyond a sequence's beginning.
Norms = Float[Tensor, "lags sequences"]


def from_the_end(steps: Float[Tensor, "time sequences"], ends: Tensor) -> Norms:
    """Count back from each sequence's own last step instead of forward from the common first."""
    step = ends - torch.arange(len(steps), device=steps.device)[:, None]
    return torch.where(step >= 0, steps.gather(0, step.clamp(min=0)), torch.nan).cpu()


def gains(parts: list[Norms], dtype: torch.dtype) -> list[Float[Tensor, " lags"]]:
    """Gain of the whole state and of each of its parts, all over the norm of the whole at lag 0."""
    whole = norm(torch.stack(parts), dim=0)
    read = whole[0] > 0  # a sequence whose end the loss does not read has no curve
    resolution = torch.finfo(dtype).tiny / torch.finfo(dtype).eps
    there = ~whole[:, read].isnan()
    return [
        _geometric_mean(_below_is_nan(norms[:, read], resolution) / whole[0, read], there) for norms in (whole, *parts)
    ]


def size(gradient: Float[Tensor, "*rows numbers"]) -> Float[Tensor, "*rows"]:
    """Norm of each row, in double precision; infinite where it is no number, as infinity minus infinity is none."""
    if gradient.dtype == torch.float64:
        found = norm(gradient, dim=-1)
    else:  # the squares of what single precision holds neither vanish nor overflow
        found = torch.linalg.vector_norm(gradient, dim=-1, dtype=torch.float64)
    return found.nan_to_num(nan=torch.inf, posinf=torch.inf)


def norm(x: Tensor, dim: int) -> Tensor:
    """Euclidean norm of numbers whose squares no format holds; nan beyond what there is."""
    plain: Tensor = torch.linalg.vector_norm(x, dim=dim)
    limits = torch.finfo(x.dtype)
    if bool(((plain > limits.tiny**0.5 / limits.eps) & (plain < limits.max**0.5)).all()):
        return plain
    scale = x.abs().amax(dim, keepdim=True)
    scaled: Tensor = torch.linalg.vector_norm(x / scale.where((scale > 0) & scale.isfinite(), 1.0), dim=dim)
    return scaled * scale.where(scale.isfinite(), 1.0).squeeze(dim)


def _below_is_nan(norms: Norms, resolution: float) -> Norms:
    """Mark what the number format cannot hold, but keep an exact zero: one that follows a number it can hold."""
    lag = torch.arange(len(norms))[:, None].expand_as(norms)
    nonzero = torch.where(norms > 0, lag, -1).cummax(0).values.roll(1, 0)  # the last before each lag
    nonzero[0] = -1
    last = torch.where(nonzero >= 0, norms.gather(0, nonzero.clamp(min=0)), torch.inf)
    return torch.where((norms < resolution) & ~((norms == 0) & (last >= resolution)), torch.nan, norms)


def _geometric_mean(gains: Norms, there: Tensor) -> Float[Tensor, " lags"]:
    """Over the sequences that reach back to each lag."""
    logs = torch.where(there, gains.log(), 0.0)
    return (logs.sum(1) / there.sum(1)).exp()
