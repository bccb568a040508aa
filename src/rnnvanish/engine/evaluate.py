"""Computing values with torch: for all time steps at once, and as the plain meaning of what a printer prints."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from rnnvanish.engine.values import ELEMENTWISE, Value, products_of

#: What torch calls otherwise than we do.
_NAMES = {"and": "logical_and", "or": "logical_or", "not": "logical_not"}
FUNCTIONS: dict[str, Callable[..., Tensor]] = {op: getattr(torch, _NAMES.get(op, op)) for op in ELEMENTWISE}


def evaluate(wanted: Iterable[Value], given: Mapping[Value, Tensor], rows: int) -> list[Tensor]:
    """Compute values from others.

    Args:
        wanted: What to compute.
        given: Tensors of what is known: rows of shape (rows, width), lines (1, width), matrices.
        rows: How many rows there are.
    """
    like = next(tensor for tensor in given.values() if tensor.is_floating_point())
    known: dict[Value, Tensor] = {}

    def of(value: Value) -> Tensor:
        if value in given:
            return given[value]
        if value not in known:
            known[value] = compute(value)
        return known[value]

    def compute(value: Value) -> Tensor:
        if value.op == "constant":
            return torch.full((1, 1), value.detail[0], dtype=like.dtype, device=like.device)
        if value.op == "linear":
            rest, products = products_of(value)
            return _linear(None if rest is None else of(rest), [(of(row), of(matrix)) for row, matrix in products])
        args = [of(arg) for arg in value.args]
        if value.op == "slice":
            return args[0][:, value.detail[0] : value.detail[0] + value.width]
        if value.op == "pieces":
            return torch.cat([arg.expand(rows, part.width) for arg, part in zip(args, value.args, strict=True)], dim=1)
        if value.op == "expand":
            return args[0].expand(-1, value.width)
        if value.op == "transpose":
            return args[0].t()
        if value.op == "outer":
            return args[0].expand(rows, -1).t() @ args[1]
        if value.op == "rowsum":
            return args[0].sum(1, keepdim=True)
        if value.op == "colsum":
            return args[0].expand(rows, value.width).sum(0, keepdim=True)
        if value.op == "reshape":
            return (
                args[0].reshape(value.shape)
                if args[0].numel() == value.width * value.shape[0]
                else _fold(args[0], value)
            )
        return FUNCTIONS[value.op](*args)

    return [of(value) for value in wanted]


def _linear(rest: Tensor | None, products: list[tuple[Tensor, Tensor]]) -> Tensor:
    for row, matrix in products:
        rest = row @ matrix if rest is None else torch.addmm(rest, row, matrix)
    assert rest is not None
    return rest


def _fold(tensor: Tensor, value: Value) -> Tensor:
    return tensor.sum_to_size(value.shape)
