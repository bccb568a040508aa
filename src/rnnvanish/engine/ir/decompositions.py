"""Operations of torch in terms of fewer, those that a loop knows; what torch differentiates is not changed by it."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from rnnvanish.compat.tracing import decompositions
from rnnvanish.engine.ir.unsupported import Unsupported

aten = torch.ops.aten
#: Units that a loop compares one with the other for the largest of them.
MOST = 1024


def _var(x: Tensor, dim: list[int], *, correction: float = 1, keepdim: bool = False) -> Tensor:
    """In sums, where torch's own decomposition names a primitive."""
    squares = (x - x.mean(dim, keepdim=True)).square().sum(dim, keepdim=keepdim)
    return squares / (math.prod(x.shape[each] for each in dim) - correction)


def _var_mean(x: Tensor, dim: list[int], *, correction: float = 1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    return _var(x, dim, correction=correction, keepdim=keepdim), x.mean(dim, keepdim=keepdim)


def _lerp(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    return start + weight * (end - start)


def by_halves(x: Tensor, dim: int, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Combine all that lies along an axis, half against half; the axis stays, of size 1."""
    if x.shape[dim] > MOST:
        raise Unsupported(f"maximum of more than {MOST} units")
    while (size := x.shape[dim]) > 1:
        half = combine(x.narrow(dim, 0, size // 2), x.narrow(dim, size // 2, size // 2))
        x = torch.cat([half, x.narrow(dim, size - 1, 1)], dim) if size % 2 else half
    return x


def _reduced(combine: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def reduce(x: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Tensor:
        dims = [each % x.dim() for each in dim or range(x.dim())]
        for each in dims:
            x = by_halves(x, each, combine)
        return x if keepdim else x.reshape([size for axis, size in enumerate(x.shape) if axis not in dims])

    return reduce


_amax, _amin = _reduced(torch.maximum), _reduced(torch.minimum)


def _softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    powers = torch.exp(x - _amax(x, [dim], True))
    return powers / powers.sum(dim, keepdim=True)


def _softmax_backward(gradient: Tensor, output: Tensor, dim: int, dtype: Any) -> Tensor:
    weighed = gradient * output
    return weighed - output * weighed.sum(dim, keepdim=True)


def _log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    shifted = x - _amax(x, [dim], True)
    return shifted - torch.exp(shifted).sum(dim, keepdim=True).log()


def _log_softmax_backward(gradient: Tensor, output: Tensor, dim: int, dtype: Any) -> Tensor:
    return gradient - torch.exp(output) * gradient.sum(dim, keepdim=True)


def _vector_norm(
    x: Tensor, order: float = 2, dim: list[int] | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    dims = list(range(x.dim())) if dim is None else list(dim)
    if order == 2:
        return x.square().sum(dims, keepdim=keepdim).sqrt()
    if order == 1:
        return x.abs().sum(dims, keepdim=keepdim)
    if order == math.inf:
        return _amax(x.abs(), dims, keepdim)
    raise Unsupported(f"norm of order {order}")


def _shrink_backward(gradient: Tensor, x: Tensor, bound: float) -> Tensor:
    return torch.where((x >= -bound) & (x <= bound), 0.0, gradient)


def _slice_backward(gradient: Tensor, sizes: list[int], dim: int, start: int, end: int, step: int) -> Tensor:
    """The gradient of some lanes among zeros."""
    dim %= len(sizes)
    size = sizes[dim]
    start = max(start + size, 0) if start < 0 else start
    if step > 1:
        each = [torch.zeros_like(gradient).unsqueeze(dim + 1)] * step
        each[start % step] = gradient.unsqueeze(dim + 1)
        start -= start % step
        gradient = torch.cat(each, dim + 1).flatten(dim, dim + 1)
        gradient = gradient.narrow(dim, 0, min(gradient.shape[dim], size - start))
    around = (start, size - start - gradient.shape[dim])
    before, after = ([gradient.new_zeros([*sizes[:dim], n, *sizes[dim + 1 :]])] * (n > 0) for n in around)
    return torch.cat([*before, gradient, *after], dim)


def _select_backward(gradient: Tensor, sizes: list[int], dim: int, index: int) -> Tensor:
    """The gradient of one lane among zeros."""
    dim, index = dim % len(sizes), index % sizes[dim]
    return _slice_backward(gradient.unsqueeze(dim), sizes, dim, index, index + 1, 1)


#: Operations of torch in terms of fewer.
DECOMPOSITIONS = {
    **decompositions(
        [
            aten.native_layer_norm, aten.native_layer_norm_backward, aten.leaky_relu, aten.leaky_relu_backward,
            aten.elu, aten.elu_backward, aten.gelu, aten.gelu_backward, aten.hardtanh, aten.hardtanh_backward,
            aten.hardsigmoid, aten.hardsigmoid_backward, aten.softplus, aten.softplus_backward,
            aten.log_sigmoid_forward, aten.log_sigmoid_backward, aten.silu, aten.silu_backward, aten.addcmul, aten.threshold_backward,
            aten.native_group_norm, aten.native_group_norm_backward,
        ]
    ),
    aten.var.correction: _var, aten.var_mean.correction: _var_mean,
    aten.amax.default: _amax, aten.amin.default: _amin, aten._softmax.default: _softmax,
    aten._softmax_backward_data.default: _softmax_backward, aten._log_softmax.default: _log_softmax,
    aten._log_softmax_backward_data.default: _log_softmax_backward, aten.linalg_vector_norm.default: _vector_norm,
    aten.hardshrink_backward.default: _shrink_backward, aten.softshrink_backward.default: _shrink_backward,
    aten.slice_backward.default: _slice_backward, aten.select_backward.default: _select_backward,
    aten.lerp.Tensor: _lerp, aten.lerp.Scalar: _lerp,
}  # fmt: skip
