"""Norms of gradients lag by lag, of numbers whose squares no format holds; how large a matrix is, or has to be."""

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

#: Norms of the gradient at each lag, sequence by sequence; nan beyond a sequence's beginning.
Norms = Float[Tensor, "lags sequences"]


def align_ends(steps: Float[Tensor, "time sequences"], ends: Tensor) -> Norms:
    """Count back from each sequence's own last step instead of forward from the common first."""
    if bool((ends == len(steps) - 1).all()):
        return steps.flip(0).cpu()
    step = ends - torch.arange(len(steps), device=steps.device)[:, None]
    return torch.where(step >= 0, steps.gather(0, step.clamp(min=0)), torch.nan).cpu()


def gains(parts: list[Norms], dtype: torch.dtype) -> list[Float[Tensor, " lags"]]:
    """Gain of the whole state and of each of its parts, all over the norm of the whole at lag 0."""
    whole = joint_norm(parts)
    read = whole[0] > 0  # a sequence whose end the loss does not read has no curve
    every = torch.stack([whole, *parts])[..., read]
    held = _nan_below(every, torch.finfo(dtype).tiny / torch.finfo(dtype).eps) / every[0, 0]
    # The geometric mean over the sequences that reach back to each lag.
    there = ~every[0].isnan()
    logs = torch.where(there, held.log(), 0.0)
    return list((logs.sum(-1) / there.sum(-1)).exp())


def row_norms(gradient: Inexact[Tensor, "*rows numbers"]) -> Float[Tensor, "*rows"]:
    """Norm of each row, in double precision; infinite where it is no number, as infinity minus infinity is none."""
    gradient = gradient.abs() if gradient.is_complex() else gradient
    if gradient.dtype == torch.float64:
        found = stable_norm(gradient, dim=-1)
    else:  # the squares of what single precision holds neither vanish nor overflow
        found = torch.linalg.vector_norm(gradient, dim=-1, dtype=torch.float64)
    return found.nan_to_num(nan=torch.inf, posinf=torch.inf)


def as_real(tensor: Tensor) -> Tensor:
    """Of complex numbers Re and Im, in a last axis of their own; a real tensor as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def joint_norm(norms: Sequence[Tensor]) -> Tensor:
    """Norm of the whole from those of its parts."""
    return reduce(torch.hypot, norms)


def stable_norm(x: Tensor, dim: int) -> Tensor:
    """Euclidean norm of numbers whose squares no format holds; nan beyond what there is."""
    plain: Tensor = torch.linalg.vector_norm(x, dim=dim)
    limits = torch.finfo(x.dtype)
    if not x.shape[dim] or bool(((plain > limits.tiny**0.5 / limits.eps) & (plain < limits.max**0.5)).all()):
        return plain
    scale = x.abs().amax(dim, keepdim=True)
    scaled: Tensor = torch.linalg.vector_norm(x / scale.where((scale > 0) & scale.isfinite(), 1.0), dim=dim)
    return scaled * scale.where(scale.isfinite(), 1.0).squeeze(dim)


def _nan_below(norms: Float[Tensor, "parts lags sequences"], resolution: float) -> Tensor:
    """Mark what the number format cannot hold, but keep an exact zero: one that follows a number it can hold."""
    small = norms < resolution
    if not small.any():
        return norms
    lag = torch.arange(norms.shape[1])[:, None].expand_as(norms)
    nonzero = torch.where(norms > 0, lag, -1).cummax(1).values.roll(1, 1)  # the last before each lag
    nonzero[:, 0] = -1
    last = torch.where(nonzero >= 0, norms.gather(1, nonzero.clamp(min=0)), torch.inf)
    return torch.where(small & ~((norms == 0) & (last >= resolution)), torch.nan, norms)


def spectral_radius(matrix: Float[Tensor, "units units"]) -> float:
    """Compute the largest absolute eigenvalue of a matrix; a ValueError where there is none but 0."""
    wide = matrix.detach().to(torch.promote_types(matrix.dtype, torch.double))
    radius = float(torch.linalg.eigvals(wide).abs().amax())
    if radius <= torch.finfo(matrix.dtype).eps * matrix.abs().amax().item():
        raise ValueError("A matrix without an eigenvalue other than 0 cannot be scaled to a radius: draw more of it.")
    return radius


def gain_for_slope(activation: nn.Module) -> float:
    """Compute 1 / √E[φ′(z)²], z standard normal: a matrix times that keeps the gradient's length in a wide network.

    That is the rule of He et al. (2015): √2 for ReLU. For tanh it is 1.47; `torch.nn.init.calculate_gain` has 5/3.
    """
    like = next(activation.parameters(), torch.empty((), dtype=torch.double))
    with torch.enable_grad():
        z = torch.linspace(-8, 8, 4000, dtype=like.dtype, device=like.device, requires_grad=True)  # no kink at 0 is met
        (slope,) = torch.autograd.grad(activation(z).sum(), z)
    weight = torch.exp(-z.detach().square() / 2)
    return float((weight.sum() / (weight * slope.square()).sum()).sqrt())
