"""How a model is called: what users give as inputs, brought into the one form of arguments and keywords."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader

from rnnvanish.live import unwrapped
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.observe.restore.snapshot import generators_in


@dataclass(frozen=True)
class Call:
    """One call of a model.

    Attributes:
        args: Its arguments.
        kwargs: Its keyword arguments.
        batch: What the user gave, whole.
        method: Which method is called.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    batch: Any
    method: str = "forward"

    @classmethod
    def of(cls, model: nn.Module, inputs: Any) -> "Call":
        """Bring inputs into the form of a call of `model`.

        Args:
            model: What is called.
            inputs: Its argument; a tuple for several; a mapping for keyword arguments. Of a batch that holds more than
                the model takes, such as inputs and targets, the first ones are given, or those of the names it knows.
        """
        if isinstance(inputs, Call):
            return inputs
        if isinstance(inputs, DataLoader):
            raise ValueError("One batch is needed here, got a DataLoader: give next(iter(loader)).")
        if isinstance(inputs, Mapping):
            return cls((), kwargs, inputs) if (kwargs := _known_keywords(model, inputs)) else cls((inputs,), {}, inputs)
        if isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence):
            return cls(inputs[: _max_arguments(model)], {}, inputs)
        return cls((inputs,), {}, inputs)

    @classmethod
    def of_method(cls, model: nn.Module, method: str, batch: Any) -> "Call":
        """The call of another method that takes a batch and perhaps its index, such as Lightning's training_step."""
        batch = batch.batch if isinstance(batch, Call) else batch
        function = getattr(unwrapped(model), method, None)
        if not callable(function):
            raise ValueError(f"{type(model).__name__} has no method {method!r} to be its loss.")
        several = len(inspect.signature(function).parameters) > 1
        return cls((batch, 0) if several else (batch,), {}, batch, method)

    def __call__(self, model: nn.Module) -> Any:
        """Call `model`."""
        return (model if self.method == "forward" else getattr(unwrapped(model), self.method))(
            *self.args, **self.kwargs
        )

    @property
    def contents(self) -> tuple[Any, ...]:
        """What a model could write to."""
        return self.args, self.kwargs, self.batch

    def map(self, change: Callable[[Tensor], Tensor]) -> "Call":
        """The same call with other tensors."""
        args, kwargs, batch = (map_tensors(value, change) for value in (self.args, self.kwargs, self.batch))
        return replace(self, args=args, kwargs=kwargs, batch=batch)


def sample_batches(model: nn.Module, inputs: Any, batches: int) -> list[Call]:
    """The calls to measure: of a DataLoader its first batches, where the weights are; else the one that was given.

    A DataLoader is asked once, at the door of whatever measures: another time it may give other batches, and starts its
    workers anew. What is last in a batch of it counts as targets, and is not given to the model unless it needs that many.

    Raises:
        ValueError: For fewer than one batch, or a DataLoader that has none.
    """
    if batches < 1:
        raise ValueError(f"At least one batch has to be measured, got batches={batches}.")
    if not isinstance(inputs, DataLoader):
        return [Call.of(model, inputs)]
    drawing = (inputs, inputs.sampler, inputs.batch_sampler, inputs.dataset)  # from the caller's generators
    with preserve(*(each for holder in drawing for each in generators_in(getattr(holder, "__dict__", {})))):
        found = list(islice(inputs, batches))
    if not found:
        raise ValueError("The DataLoader has no batch to measure.")
    weight = next(model.parameters(), torch.empty(0))
    return [call_with_batch(model, map_tensors(batch, lambda value: value.to(weight.device))) for batch in found]


def call_with_batch(model: nn.Module, batch: Any) -> Call:
    """The call of `model` with a batch as a DataLoader gives it: a list where it was collated by default."""
    return _without_targets(model, tuple(batch) if isinstance(batch, list) else batch)


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """What holds tensors, with other tensors."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, PackedSequence):
        return PackedSequence(change(value.data), *value[1:])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(each, change) for each in value))
    if isinstance(value, tuple | list):
        return type(value)(map_tensors(each, change) for each in value)
    if isinstance(value, dict):
        return type(value)((key, map_tensors(each, change)) for key, each in value.items())
    return value


def _without_targets(model: nn.Module, batch: Any) -> Call:
    call = Call.of(model, batch)
    if len(call.args) < 2 or len(call.args) < len(batch):
        return call
    needed = [each for each in _parameters(model) if each.default is each.empty]
    return replace(call, args=call.args[: max(len(needed), len(batch) - 1)])


def _parameters(model: nn.Module) -> list[inspect.Parameter]:
    return list(inspect.signature(unwrapped(model).forward).parameters.values())


def _max_arguments(model: nn.Module) -> int | None:
    """How many arguments `model` takes; None for any number."""
    parameters = _parameters(model)
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)


def _known_keywords(model: nn.Module, inputs: Mapping[Any, Any]) -> dict[str, Any]:
    """What of a mapping `model` takes as keyword arguments."""
    parameters = _parameters(model)
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return dict(inputs)
    return {each.name: inputs[each.name] for each in parameters if each.name in inputs}
