"""Computing values with torch: for all time steps at once, and as the plain meaning of generated code."""

from collections.abc import Callable, Container, Iterable, Sequence

import torch
from torch import Tensor

from rnnvanish.engine.ir.lowering import axes
from rnnvanish.engine.ir.operations import OPERATIONS
from rnnvanish.engine.ir.values import Value


class Interpreter:
    """Computes values from others: knows which of these it needs, and what to do in which order.

    Args:
        wanted: What to compute.
        given: What is known.

    Attributes:
        reads: What it needs of what is given.
    """

    def __init__(self, wanted: Iterable[Value], given: Container[Value]) -> None:
        order: dict[Value, None] = {}

        def visit(value: Value) -> None:
            if value in order:
                return
            if value not in given:
                for arg in value.args:
                    visit(arg)
            order[value] = None

        wanted = list(wanted)
        for value in wanted:
            visit(value)
        self.reads = [value for value in order if value in given]
        computed = [value for value in order if value not in given]
        slots = {value: slot for slot, value in enumerate([*self.reads, *computed])}
        self.steps = [(_function(value), [slots[arg] for arg in value.args]) for value in computed]
        self.wanted = [slots[value] for value in wanted]

    def __call__(self, tensors: Sequence[Tensor], rows: int, like: Tensor) -> list[Tensor]:
        """Compute what is wanted.

        Args:
            tensors: Those of `reads`: rows of shape (rows, width), vectors (1, width), matrices.
            rows: How many rows there are.
            like: Has the dtype and the device of the numbers that are written in the cell.
        """
        known = list(tensors)
        for function, args in self.steps:
            known.append(function(rows, like, *[known[arg] for arg in args]))
        return [known[slot] for slot in self.wanted]


def _function(value: Value) -> Callable[..., Tensor]:
    """What computes a value from the number of rows, a tensor like the result, and its arguments."""
    width, widths = value.width, [arg.width for arg in value.args]
    match value.op:
        case "constant":
            number = value.detail[0]
            return lambda _, like: torch.full((1, 1), number, dtype=like.dtype, device=like.device)
        case "linear":
            rest_is_first, heads = value.detail
            return lambda _, __, *args: _linear(args[0] if rest_is_first else None, args[rest_is_first:], heads)
        case "slice":
            start = value.detail[0]
            return lambda _, __, row: row[:, start : start + width]
        case "cat":
            return lambda rows, _, *parts: torch.cat(
                [part.expand(rows, width) for part, width in zip(parts, widths, strict=True)], dim=1
            )
        case "expand":
            return lambda _, __, row: row.expand(-1, width)
        case "transpose":
            return lambda _, __, matrix: matrix.t()
        case "outer":
            heads = value.detail[0]
            return lambda rows, _, left, right: _outer(
                as_rows(left, rows).reshape(rows * heads, -1), as_rows(right, rows).reshape(rows * heads, -1)
            )
        case "strided":
            lanes = axes.lanes(*value.detail)
            return lambda _, __, row: row[:, torch.tensor(lanes, device=row.device)]
        case "sum":
            return lambda _, __, row: row.unflatten(1, value.detail).sum(2).flatten(1)
        case "flat":
            return lambda _, __, matrix: matrix.reshape(1, -1)
        case "block":
            first, height = value.detail[0], value.shape[0]
            return lambda _, __, matrix: matrix[first : first + height]
        case "stack":
            return lambda _, __, *parts: torch.cat(parts)
        case "colsum":
            return lambda rows, like, row: like.new_ones(1, rows) @ as_rows(row, rows)  # twice as fast as sum()
        case "reshape":
            shape = value.shape
            return lambda _, __, tensor: (
                tensor.reshape(shape) if tensor.numel() == shape[0] * shape[1] else tensor.sum_to_size(shape)
            )
    function = OPERATIONS[value.op].function
    return lambda _, __, *args: function(*args)


def as_rows(tensor: Tensor, rows: int) -> Tensor:
    """A vector as so many rows; rows as they are."""
    return tensor if len(tensor) == rows else tensor.expand(rows, -1)


def _linear(rest: Tensor | None, products: Sequence[Tensor], heads: int) -> Tensor:
    """rest + row @ matrix + ..., for each of some heads side by side."""
    width = heads * products[1].shape[1]
    if rest is not None:
        rest = as_rows(rest, len(products[0])).expand(-1, width).reshape(-1, width // heads)
    for row, matrix in zip(products[::2], products[1::2], strict=True):
        row = row.reshape(-1, len(matrix))
        rest = row @ matrix if rest is None else torch.addmm(rest, row, matrix)
    assert rest is not None
    return rest.reshape(-1, width)


def _outer(left: Tensor, right: Tensor) -> Tensor:
    if left.shape[1] > right.shape[1]:  # products are fastest with the wider factor on the right
        return (right.t() @ left).t()
    return left.t() @ right
