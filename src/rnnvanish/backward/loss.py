"""The number that a gradient starts from: a loss that the user names, or the end point of what the model returns."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnnvanish.compat import tree_leaves
from rnnvanish.live import RECURRENT, unwrapped
from rnnvanish.numerics.norms import as_real
from rnnvanish.observe.call import Call
from rnnvanish.observe.inputs.loss_arguments import loss_arguments
from rnnvanish.observe.record import Run
from rnnvanish.observe.restore.borrow import preserve

#: What a gradient starts from: a function of what the model returns, or of that and the batch, or of that and the targets;
#: or the name of a method of the model that takes the batch, "training_step".
Loss = Callable[..., Tensor] | str | None


def preserve_loss(loss: Loss) -> AbstractContextManager[None]:
    """Put back, in the end, what a loss holds."""
    return nullcontext() if loss is None else preserve(loss)


def evaluate_loss(model: nn.Module, call: Call, output: Any, runs: list[Run], loss: Loss) -> Tensor:
    """The number that the gradient starts from.

    Raises:
        ValueError: Where it is none.
    """
    if loss is None:
        value: Any = sum_end_point(model, output, runs)
    elif isinstance(loss, str):
        value = output["loss"] if isinstance(output, dict) and "loss" in output else output
    else:
        value = loss(output, *loss_arguments(loss, call.batch, call.beside))
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(f"The loss must be a tensor of one number, got {getattr(value, 'shape', value)}.")
    return value


def sum_end_point(model: nn.Module, output: Any, runs: list[Run]) -> Tensor:
    """Sum what `model` returned, at the end of the sequence.

    Of a bare recurrent module: the final states of its top layer. Of another: every number that it returns; of a
    sequence the last valid step alone, or the gradient would come in all along the way. A complex number counts as two.
    """
    if (final := _final_states(unwrapped(model), output)) is not None:
        numbers = final
    else:
        leaves = tree_leaves(output, is_leaf=lambda value: isinstance(value, PackedSequence))
        numbers = [_last_step(leaf, runs) for leaf in leaves if isinstance(leaf, PackedSequence | Tensor)]
    numbers = [as_real(number) for number in numbers if number.is_floating_point() or number.is_complex()]
    if not numbers:
        raise ValueError(
            f"{type(model).__name__} returned no tensor of numbers for a gradient to start from, but a "
            f"{type(output).__name__}: say where with loss=, a function of what it returns."
        )
    return torch.stack([number.sum() for number in numbers]).sum()


def _final_states(model: nn.Module, output: Any) -> list[Tensor] | None:
    """The final states of a bare module's top layer; None of another, and of one that returns something of its own."""
    if not isinstance(model, RECURRENT) or not isinstance(output, tuple) or len(output) != 2:
        return None
    directions = 2 if model.bidirectional else 1
    parts = output[1] if isinstance(output[1], tuple) else (output[1],)
    loops = model.num_layers * directions
    if any(not isinstance(part, Tensor) or part.dim() < 2 or len(part) != loops for part in parts):
        return None
    return [part[-directions:] for part in parts]


def _last_step(value: Tensor | PackedSequence, runs: list[Run]) -> Tensor:
    """The last valid step of a sequence; anything else as it is."""
    if isinstance(value, PackedSequence):
        padded, lengths = pad_packed_sequence(value)
        return padded[lengths - 1, torch.arange(len(lengths))]
    for run in reversed(runs):
        time, batch = run.x.shape[:2]
        if time == 1 or not value.requires_grad or run.name.endswith("reverse"):
            continue
        for start in run.starts:  # a model may return what its last calls gave alone
            if (left := time - start) < 2:
                break
            if value.dim() < 3 and batch == 1 and value.shape[:1] == (left,) and _is_sequence(value, run):
                return value[-1]
            batch_first = getattr(run.module, "batch_first", True)
            for turned in (batch_first, not batch_first):
                if value.shape[:2] == ((batch, left) if turned else (left, batch)):
                    steps = value.transpose(0, 1) if turned else value
                    if _is_sequence(steps, run):
                        return steps[_in_callers_order(run) - start, torch.arange(batch, device=value.device)]
    return value


def _is_sequence(steps: Tensor, run: Run) -> bool:
    """Whether these are outputs of the steps of a loop: the last reads a state, of which the first has no part.

    It is the state after the last step or, where a step makes its output of its old state, the one before it.
    """
    for state in reversed(run.states[-2:]):
        parts = [part for part in state if part.requires_grad]
        if not parts:
            return True
        first, end = (
            torch.autograd.grad(step.sum(), parts, retain_graph=True, allow_unused=True)
            for step in (steps[0], steps[-1])
        )
        if any(gradient is not None and gradient.any() for gradient in first):
            return False
        if any(gradient is not None for gradient in end):
            return True
    return False


def _in_callers_order(run: Run) -> Tensor:
    if run.order is None:
        return run.ends
    return torch.empty_like(run.ends).index_copy(0, run.order, run.ends)
