"""First nan: which operation makes the first number that is none, forward or backward, and where in the user's code."""

import textwrap
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.backward.each_loop import resolve_call
from rnnvanish.backward.loss import Loss, evaluate_loss, preserve_loss
from rnnvanish.live import plain_name
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe.agreement import tensors_in
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.nonfinite.gradients import first_bad_gradient
from rnnvanish.observe.nonfinite.operations import Operation, OperationRecord, bad_places, has_nan, is_finite
from rnnvanish.observe.nonfinite.reason import reason_of_slope
from rnnvanish.observe.restore.borrow import borrow

#: Columns of what is printed, as a report has them.
WIDTH = 78


@dataclass(frozen=True)
class FirstNan:
    """Where the first nan or infinity comes from.

    Attributes:
        value: What it is, "nan" or "inf".
        direction: "forward"; "backward" where all is finite until the gradient is taken; "given" where it stands in a
            parameter or in the batch.
        batch: Which batch has it, counted from 0.
        source: The operation of torch that makes it, or whose derivative does; or what was given: "input 0".
        module: The innermost module in which that is called; "" outside of all, as in a loss.
        line: The line of the user's code that calls it, and where it stands; "" of what was given.
        run: How often that line had called it before in this forward: in a loop over time the step.
        step: Of a layer of torch's the first step at which it is; else None.
        index: Where the first one stands in the result; of "backward" in the gradient of what the operation was given.
        shape: The shape of that tensor.
        why: Why, in words; "" where that does not show.
    """

    value: str
    direction: str
    batch: int
    source: str
    module: str = ""
    line: str = ""
    run: int = 0
    step: int | None = None
    index: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        """All of it in a sentence, and the line."""
        place = f", at {list(self.index)} of {list(self.shape)}" if self.shape else ""
        if self.direction == "given":
            of = f" of batch {self.batch}" * self.source.startswith("input")
            return _filled(f"The first {self.value} is given: {self.source}{of}{place} (all counted from 0).")
        of = "the derivative of " * (self.direction == "backward")
        when = f", at run {self.run} of its line" * (self.run > 0) if self.step is None else f", at step {self.step}"
        said = (
            f"The first {self.value} comes {self.direction}, from {of}{self.source} in {self.module or 'the loss'}, in batch "
            f"{self.batch}{when}{place} (all counted from 0){f': {self.why}' if self.why else ''}."
        )
        return f"{_filled(said)}\n    {self.line}"


def first_nan(model: nn.Module, inputs: Any, loss: Loss = None, batches: int = 64) -> FirstNan | None:
    """Find where the first nan or infinity of a forward and backward pass comes from.

    Runs the model as it is, in its own precision and mode, on one batch after the other until one has it. A mask's minus
    infinity is none: what is looked for is the operation that turns finite numbers, or such infinities, into what reaches the
    loss or a gradient. `model` is left as it was. It need not be recurrent.

    Args:
        model: Any module.
        inputs: What it takes, as for `probes.retention`, or a loader.
        loss: What the gradient is of, as for `probes.retention`.
        batches: How many batches of a loader are looked at.

    Returns:
        Where it comes from; None where all is finite.

    Raises:
        ValueError: For inputs that the model does not take, or a loss that gives no number.

    Examples:
        >>> class Norm(nn.Linear):
        ...     def forward(self, x):
        ...         return super().forward(x).square().sum(-1).sqrt()
        >>> found = first_nan(Norm(2, 3, bias=False), torch.zeros(4, 2))
        >>> found.value, found.direction, found.source
        ('inf', 'backward', 'sqrt')
    """
    with torch.enable_grad(), preserve_loss(loss):
        for number, each in enumerate(sample_batches(model, inputs, batches, loss)):
            call = resolve_call(model, each, loss)
            with borrow(model, None, *call.contents):
                finite = _all_finite(model, call, loss)
            with borrow(model, None, *call.contents):
                if not finite and (found := _of_batch(model, call, loss, number)) is not None:
                    return found
    return None


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _given(model: nn.Module, call: Call) -> list[tuple[str, Tensor]]:
    """What is given to the model that is not finite, by name."""
    named = [(f"parameter {name}", value) for name, value in (*model.named_parameters(), *model.named_buffers())]
    for place, value in [*enumerate(call.args), *call.kwargs.items()]:
        named += [(f"input {place!r}", leaf) for leaf in tensors_in(value)]
    return [(name, value) for name, value in named if is_number(value) and not is_finite(value)]


def _all_finite(model: nn.Module, call: Call, loss: Loss) -> bool:
    """Whether a pass has finite numbers only, as far as they reach the loss or a gradient: most have."""
    output = call(model)
    value = evaluate_loss(model, call, output, loss)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    found = tensors_in(output) if loss is None else [value]
    if value.requires_grad and weights:
        found += [each for each in torch.autograd.grad(value, weights, allow_unused=True) if each is not None]
    return all(map(is_finite, found))


def _of_batch(model: nn.Module, call: Call, loss: Loss, batch: int) -> FirstNan | None:
    with OperationRecord(model, _given(model, call)) as record:
        output = call(model)
        value = None if loss is None else evaluate_loss(model, call, output, loss)
    for each in tensors_in(output) if value is None else [value]:
        if not is_finite(each) and (made := _origin(record.maker(each))) is not None:
            return _of_operation(model, made, "forward", batch)
    start = evaluate_loss(model, call, output, loss) if value is None else value
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if not start.requires_grad or not weights:
        return None
    seen = first_bad_gradient(start, weights, record.by_node)
    if seen is None:
        return None
    operation, gradient = seen
    # A nan that the loss does not read may be multiplied by a gradient of zero: it is there before.
    read = (*operation.from_nan, *([] if operation.finite else [operation]), *operation.from_inf)
    made = next((found for each in read if (found := _origin(each)) is not None), None)
    if made is not None:
        return _of_operation(model, made, "forward", batch)
    return _of_operation(model, operation, "backward", batch, gradient)


def _origin(operation: Operation | None) -> Operation | None:
    return None if operation is None else operation.origin()


def _of_operation(
    model: nn.Module, operation: Operation, direction: str, batch: int, gradient: Tensor | None = None
) -> FirstNan:
    bad, shape = operation.bad if gradient is None else bad_places(gradient)
    has_a_nan = operation.makes_nan if gradient is None else has_nan(gradient)
    why = operation.why if gradient is None else reason_of_slope(operation.name, operation.result)
    kind, line = "nan" if has_a_nan else "inf", operation.line
    where: dict[str, Any] = {"index": tuple(bad[0]), "shape": shape, "why": why}
    if line is None:
        return FirstNan(kind, "given", batch, operation.name, **where)
    layer = next((each for name, each in model.named_modules() if plain_name(name, model) == line.module), None)
    if gradient is None and isinstance(layer, nn.RNNBase) and len(shape) == 3:
        where["step"] = min(index[int(layer.batch_first)] for index in bad)
    return FirstNan(kind, direction, batch, operation.name, line.module, str(line), operation.run, **where)
