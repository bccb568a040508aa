"""The number that is differentiated: a loss that the user names, or what the model returns, summed."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.cell import Cell, has_output
from rnnvanish.layers import LayerStack
from rnnvanish.live import RECURRENT, unwrapped
from rnnvanish.numerics.norms import as_real
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe.agreement import tensors_in
from rnnvanish.observe.call import Call
from rnnvanish.observe.inputs.attempt import describe
from rnnvanish.observe.inputs.loss_arguments import apply_loss
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.recurrent import Recurrent

#: What a gradient starts from: a function of what the model returns, or of that and the batch, or of that and the targets;
#: or the name of a method of the model that takes the batch, "training_step".
Loss = Callable[..., Tensor] | str | None


def preserve_loss(loss: Loss) -> AbstractContextManager[None]:
    """Put back, in the end, what a loss holds."""
    return nullcontext() if loss is None else preserve(loss)


def evaluate_loss(model: nn.Module, call: Call, output: Any, loss: Loss) -> Tensor:
    """The number that the gradient starts from.

    Raises:
        ValueError: Where it is none.
    """
    if loss is None:
        value: Any = sum_outputs(model, output)
    elif isinstance(loss, str):
        value = output["loss"] if isinstance(output, dict) and "loss" in output else output
    else:
        value = apply_loss(loss, output, call.batch, call.beside)
    if not isinstance(value, Tensor) or value.numel() != 1:
        came = value.shape if isinstance(value, Tensor) else value and describe(value)
        raise ValueError(f"The loss must be a tensor of one number, got {came}.")
    return value


def sum_outputs(model: nn.Module, output: Any) -> Tensor:
    """Sum what `model` returned: where a gradient starts that nobody named.

    Of a bare recurrent module: the final states of its top layer, without what is no memory; where what it hands on is other
    than its state: what it hands on. Of another: every number that it returns, but for losses beside other outputs. A complex
    number counts as two. What adds up to a constant, as probabilities do, has no gradient but rounding: there every second
    number is taken with the other sign.
    """
    inner = unwrapped(model)
    if (final := final_states(inner, output)) is not None:
        numbers = final
    elif isinstance(inner, Recurrent) and _returns_state(inner, output):
        numbers = tensors_in(output[0])
    else:
        found = tensors_in(output)
        numbers = [each for each in found if each.dim()] or found
    numbers = [as_real(number) for number in numbers if is_number(number)]
    if not numbers:
        raise ValueError(
            f"{type(model).__name__} returned no tensor of numbers for a gradient to start from, but a "
            f"{type(output).__name__}: say where with loss=, a function of what it returns."
        )
    return torch.stack([_sum(number) for number in numbers]).sum()


def _sum(number: Tensor) -> Tensor:
    """Sum numbers; where they add up to a constant along an axis, with signs that take turns along it."""
    for axis, size in enumerate(number.shape):
        if size > 1 and _adds_to_constant(number.detach(), axis):
            signs = 1 - 2 * (torch.arange(size, device=number.device) % 2)
            return (number.movedim(axis, -1) * signs).sum()
    return number.sum()


def _adds_to_constant(number: Tensor, axis: int) -> bool:
    """Whether what stands along an axis always adds up to one, as the rows of a softmax do, or to zero, as those of a LayerNorm."""
    sums, sizes = number.sum(axis), number.abs().sum(axis)
    rounding = min(100 * torch.finfo(number.dtype).eps, 1e-2)
    one = bool((number >= 0).all()) and bool(((sums - 1).abs() <= rounding).all())
    return one or (bool((sizes > 0).all()) and bool((sums.abs() <= rounding * sizes).all()))


def final_states(model: nn.Module, output: Any) -> list[Tensor] | None:
    """The final states of a bare module's top layer, in coordinates.

    None of another, of one that returns something of its own, and of one whose output is other than its state.
    """
    if not isinstance(model, RECURRENT) or not _returns_state(model, output):
        return None
    directions = 2 if model.bidirectional else 1
    parts = output[1] if isinstance(output[1], tuple) else (output[1],)
    top = tuple(part[-directions:] for part in parts)
    if not isinstance(model, Recurrent):
        return list(top)
    cell = cast(Cell, model.cells[-1])
    return None if has_output(cell) else list(Coordinates.of_state(cell, tuple(part[0] for part in top)).rows(top))


def _returns_state(model: LayerStack, output: Any) -> bool:
    """Whether what a layer returned is its output and the final states of all its loops."""
    if not isinstance(output, tuple) or len(output) != 2:
        return False
    parts = output[1] if isinstance(output[1], tuple) else (output[1],)
    loops = model.num_layers * (2 if model.bidirectional else 1)
    return all(isinstance(part, Tensor) and part.dim() > 1 and len(part) == loops for part in parts)
