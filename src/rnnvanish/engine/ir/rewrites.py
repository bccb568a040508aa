"""Operations on what changes with the state, written again by those that a loop has, before anything is differentiated.

What a unit is multiplied by, or taken from, by weights alone is a matrix that is made once: an index, a convolution over
units and a running sum are products with such a matrix. Where a state is infinite, units that such a sum leaves out
become nan by it.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx

from rnnvanish.engine.ir.decompositions import by_halves
from rnnvanish.engine.ir.unsupported import Unsupported

aten = torch.ops.aten


def rewrite(graph: fx.Graph, first: int) -> Callable[..., Any] | None:
    """The function that a graph computes, with what reads the state written again; None where none of that need be.

    Args:
        graph: A step.
        first: How many of its placeholders come before the state.
    """
    late = set(graph.find_nodes(op="placeholder")[first:])
    for node in graph.nodes:
        if node.op == "call_function" and not late.isdisjoint(node.all_input_nodes):
            late.add(node)
    turned = {node for node in late if node.target is aten.mm.default and node.args[0] not in late}
    if not turned and not any(node.target in REWRITES for node in late):
        return None

    module = cast(fx.GraphModule, graph.owning_module)

    class Again(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            if "generator" in kwargs:  # drawn anew, by whoever draws now
                kwargs = {**kwargs, "generator": None}
                return cast(Any, n.target)(*args, **kwargs)
            if n in turned:  # a row is the left factor
                return torch.mm(args[1].t(), args[0].t()).t()
            if n in late and n.target in REWRITES:
                return REWRITES[n.target](*args, **kwargs)
            return super().run_node(n)

    again = Again(module)
    again.extra_traceback = False  # what is refused is refused by one line
    return again.run


def _index(x: Tensor, indices: list[Tensor | None]) -> Tensor:
    if len(indices) != x.dim() or any(each is not None for each in indices[:-1]):
        raise Unsupported("index but over the units of a step")
    return _index_select(x, x.dim() - 1, indices[-1])


def _index_select(x: Tensor, dim: int, index: Tensor | None) -> Tensor:
    if index is None or index.dim() != 1 or index.dtype == torch.bool or dim % x.dim() != x.dim() - 1:
        raise Unsupported("index but over the units of a step")
    width = x.shape[-1]
    chosen = torch.arange(width, device=x.device)[:, None] == torch.remainder(index, width)
    return x @ chosen.to(x.dtype)


def _roll(x: Tensor, shifts: list[int], dims: list[int] | None = None) -> Tensor:
    if not dims:
        raise Unsupported("roll over the batch")
    for shift, dim in zip(shifts, dims, strict=True):
        cut = -shift % x.shape[dim]
        x = torch.cat([x.narrow(dim, cut, x.shape[dim] - cut), x.narrow(dim, 0, cut)], dim) if cut else x
    return x


def _repeat(x: Tensor, repeats: list[int]) -> Tensor:
    x = x.reshape(*[1] * (len(repeats) - x.dim()), *x.shape)
    shape = list(x.shape)
    for dim, times in enumerate(repeats):
        x, shape[dim] = torch.cat([x] * times, dim) if times != 1 else x, shape[dim] * times
    return x.reshape(shape)


def _stack(tensors: list[Tensor], dim: int = 0) -> Tensor:
    return torch.cat([tensor.unsqueeze(dim) for tensor in tensors], dim)


def _cumsum(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    if dim % x.dim() != x.dim() - 1 or dtype not in (None, x.dtype):
        raise Unsupported("cumsum but over the units of a step")
    unit = torch.arange(x.shape[-1], device=x.device)
    return x @ (unit[:, None] <= unit).to(x.dtype)


def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
    units = x.shape[1:].numel()
    identity = torch.eye(units, dtype=x.dtype, device=x.device).reshape(units, *x.shape[1:])
    matrix: Tensor = aten.convolution.default(identity, weight, None, *how)
    out = (x.flatten(1) @ matrix.flatten(1)).reshape(len(x), *matrix.shape[1:])
    return out if bias is None else out + bias.reshape(-1, *[1] * (x.dim() - 2))


def _selected(first: Callable[[Tensor, Tensor], Tensor], index: Any) -> Callable[..., Any]:
    """The largest or smallest, by one comparison after the other: the gradient goes to the first of several such."""

    def select(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
        best = by_halves(x, dim, lambda one, other: torch.where(first(one, other) | one.isnan(), one, other))
        return (best if keepdim else best.squeeze(dim)), index(x, dim, keepdim)  # which nobody computes if nobody reads

    return select


REWRITES: dict[Any, Callable[..., Any]] = {
    aten.index.Tensor: _index, aten.index_select.default: _index_select, aten.roll.default: _roll,
    aten.repeat.default: _repeat, aten.stack.default: _stack, aten.cumsum.default: _cumsum,
    aten.convolution.default: _convolution, aten.max.dim: _selected(torch.ge, aten.argmax.default),
    aten.min.dim: _selected(torch.le, aten.argmin.default),
}  # fmt: skip
