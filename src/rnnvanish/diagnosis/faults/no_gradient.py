"""No gradient comes back from behind a recurrent layer: what stops it, a ReLU that gives zeros, say, or a detach().

Something between the memory and the loss lets no gradient through: a `detach()`, a rounding, a `no_grad()`. What is
behind it learns. The memory before it stays as it was drawn.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x):
            features = self.rnn(x)[0][:, -1].detach()
            return self.head(features)

    torch.manual_seed(0)
    x = torch.randn(4, 20, 3)
    print(*diagnose(Reader(), x, quick=True).findings)

Without it:

    class Right(Reader):
        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    print(diagnose(Right(), x, quick=True).findings)
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.diagnosis.faults.half_precision import HALF
from rnnvanish.diagnosis.rerun.operations import LEAVING, Operation, RecordedStep, Replacement, Value, record_step
from rnnvanish.names import listed

#: A slope below this passes nothing on: that of a sigmoid at 12, of a tanh at 6.
FLAT = 1e-5
#: Where this much of the gradient still comes back, by another way, all is well.
BYPASSED = 1e-3


def _straight_through(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    return x + (func(*args, **kwargs) - x).detach()


def _unchanged(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0]


def _leaky(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return nn.functional.leaky_relu(args[0], 0.01)


def _with_gradients(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with torch.enable_grad():
        return func(*args, **kwargs)


#: What stops a gradient, by name: what it is, what to do, and what is called in its place to see whether that helps.
KNOWN: dict[str, tuple[str, str, Replacement | None]] = {
    **dict.fromkeys(
        ("round", "floor", "ceil", "trunc", "sign", "heaviside"),
        (
            "rounds, and so it has no slope",
            "Round only where nothing is learned from it, or straight through: x + (x.round() - x).detach().",
            _straight_through,
        ),
    ),
    **dict.fromkeys(
        ("sigmoid", "tanh", "softmax", "hardtanh", "clamp", "clip", "hardsigmoid", "relu6"),
        (
            "stands at the end of its range, where it has no slope",
            "Give it smaller numbers (a LayerNorm before it, smaller weights), or read the scores before it, by a loss of scores.",
            _unchanged,
        ),
    ),
    **dict.fromkeys(
        ("relu", "relu_", "threshold"),
        (
            "gives nothing but zeros, where it has no slope",
            "Take torch.nn.LeakyReLU there, or none behind the last layer.",
            _leaky,
        ),
    ),
    **dict.fromkeys(
        ("detach", "detach_", "data"),
        ("leaves the history behind", "Read what the layer returned as it is, without it.", _unchanged),
    ),
    **dict.fromkeys(
        (
            "argmax",
            "argmin",
            "argsort",
            "multinomial",
            "bernoulli",
            "gt",
            "lt",
            "ge",
            "le",
            "eq",
            "long",
            "int",
            "bool",
        ),
        (
            "gives a choice, which has no slope",
            "Train by the scores before it, with a loss that takes them; or choose by torch.nn.functional.gumbel_softmax.",
            None,
        ),
    ),
    **dict.fromkeys(
        LEAVING,
        ("takes bare numbers out of torch", "Compute with torch, on tensors, all the way to the loss.", None),
    ),
}
NO_GRADIENTS = (
    "was computed while gradients were switched off",
    "Leave out no_grad(), inference_mode() and set_grad_enabled(False) around it where you train.",
    _with_gradients,
)
ZERO_WEIGHTS = "multiplies by {}, which is all zeros"
REDRAW = "Draw it as torch does, or small: from zeros nothing before it is learned at the first step."
ROUNDS = "hands its gradient back in half precision, where it is rounded to zero"
WIDER = (
    "If torch.amp.GradScaler scales the loss, nothing. Otherwise have it do so, or keep the state in float32 or bfloat16, "
    "whose smallest numbers are those of float32."
)
#: Operations by which a model asks for another format; under autocast it does not ask.
CASTS = ("to", "half", "type", "type_as")
OTHER = "has a slope of zero there", "Look at its numbers: whatever it reads, it passes no change of it on.", None


def no_gradient(subject: Subject) -> list[Symptom]:
    """See whether there is a layer whose output is used, and to which no gradient comes back, and what stops it."""
    if subject.is_bare and subject.loss is None:
        return []
    step = record_step(subject.model, subject.calls[0], subject.loss, subject.cells)
    if subject.loss is not None and step.value is not None and float(step.value) == 0:
        return []  # all is learned
    stopped: dict[int, tuple[Operation, list[str]]] = {}
    own_format = any(weight.dtype in HALF for weight in subject.model.parameters())
    for module, values in step.record.returned.items():
        stop = _stop(step, module, own_format) if any(value.differentiable for value in values) else None
        if stop is not None:
            stopped.setdefault(stop.index, (stop, []))[1].append(module)
    return [_symptom(subject, step, operation, modules) for operation, modules in stopped.values()]


def _stop(step: RecordedStep, module: str, own_format: bool) -> Operation | None:
    """The operation that stops the gradient on its way to a layer, the nearest to it; None where enough comes back.

    Where half precision is the weights' `own_format`, what it rounds to zero has a fault of its own.
    """
    reaching = step.reaching(module)
    below = _reached_from(step, step.record.returned[module])
    above = _leading_to(step, step.ends)
    found = []
    for operation in step.record.operations:
        inputs = [value for value in operation.inputs if value in below]
        on_the_way = any(value in above for value in operation.outputs) or not above.intersection(below)
        if not operation.name or not inputs or not on_the_way:
            continue
        into, out_of = (max((value.norm for value in each), default=0.0) for each in (operation.outputs, inputs))
        flat = FLAT if operation.name in KNOWN else 0.0  # a factor may be small
        dead = into > 0 and out_of <= flat * into and reaching <= BYPASSED * into
        dead = dead and not (own_format and _reads_half(operation))
        cut = reaching == 0 and _has_no_graph(operation)
        if any(value.differentiable for value in inputs) and (dead or cut):
            found.append(operation)
    return found[-1] if found else None


def _reads_half(operation: Operation) -> bool:
    """Whether a format of half precision may be why."""
    return any(value.tensor.dtype in HALF for value in operation.inputs)


def _has_no_graph(operation: Operation) -> bool:
    named = operation.name in KNOWN or not operation.with_gradients
    return named and not any(value.differentiable for value in operation.outputs)


def _reached_from(step: RecordedStep, values: Sequence[Value]) -> set[Value]:
    found = set(values)
    for operation in step.record.operations:
        if not found.isdisjoint(operation.inputs):
            found.update(operation.outputs)
    return found


def _leading_to(step: RecordedStep, values: Sequence[Value]) -> set[Value]:
    found = set(values)
    for operation in reversed(step.record.operations):
        if not found.isdisjoint(operation.outputs):
            found.update(operation.inputs)
    return found


def _symptom(subject: Subject, step: RecordedStep, stop: Operation, modules: list[str]) -> Symptom:
    nearest = modules[-1]
    cut = not any(value.differentiable for value in stop.outputs)
    zeros = [name for name, weight in subject.model.named_parameters() if _is_zero_factor(weight, stop)]
    does, remedy, instead = KNOWN.get(stop.name, OTHER) if stop.with_gradients else NO_GRADIENTS
    replaced = {} if instead is None else {stop.index: instead}
    casts = [each.index for each in step.record.operations if each.name in CASTS and _makes_half(each)]
    rounds = not cut and not zeros and stop.name not in KNOWN and _reads_half(stop)
    if zeros:
        does, remedy, replaced = ZERO_WEIGHTS.format(listed(zeros)), REDRAW, {}
    elif rounds:
        does, remedy, replaced = ROUNDS, WIDER, dict.fromkeys(casts, _unchanged)
    where = f"{stop.name} in {stop.module}" if stop.module else stop.name
    place = f" ({stop.place})" if stop.place else ""
    return Symptom(
        "no gradient comes back",
        "",
        f"No gradient comes back to {' and '.join(modules)}: {where}{place} {does}.",
        remedy,
        f"gradient that reaches {nearest}",
        step.reaching(nearest),
        partial(_reaching, module=nearest, replaced=replaced),
        partial(_draw, names=zeros) if zeros else (lambda model: None) if replaced else None,
        nearest,
        "in norm",
        question=not cut and not (casts if rounds else stop.module),
        exact=True,
    )


def _makes_half(operation: Operation) -> bool:
    return any(value.tensor.dtype in HALF for value in operation.outputs) and not _reads_half(operation)


def _is_zero_factor(weight: Tensor, stop: Operation) -> bool:
    return any(each is weight for each in (*stop.args, *stop.kwargs.values())) and weight.dim() > 1 and not weight.any()


@torch.no_grad()
def _draw(model: nn.Module, names: Sequence[str]) -> None:
    generator = torch.Generator().manual_seed(0)
    for name in names:
        weight = model.get_parameter(name)
        drawn = torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5
        weight.copy_(drawn)


def _reaching(subject: Subject, module: str, replaced: dict[int, Replacement]) -> float:
    return record_step(subject.model, subject.calls[0], subject.loss, subject.cells, replaced).reaching(module)
