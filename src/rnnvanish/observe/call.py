"""How a model is called: what users give as inputs, brought into the one form of arguments and keywords."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader, Dataset

from rnnvanish.live import unwrapped
from rnnvanish.names import listed
from rnnvanish.observe.inputs.attempt import choose
from rnnvanish.observe.inputs.forms import Form, is_container, method_form, rival_forms
from rnnvanish.observe.inputs.lightning import from_lightning, is_lightning, without_trainer
from rnnvanish.observe.pytree import map_leaves
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
        beside: What of the batch is not given to the model, such as targets.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    batch: Any
    method: str = "forward"
    beside: tuple[Any, ...] = ()

    @classmethod
    def of(cls, model: nn.Module, inputs: Any) -> "Call":
        """Bring inputs into the form of a call of `model`.

        Args:
            model: What is called.
            inputs: Its argument; a tuple for several; a mapping for keyword arguments; or a batch as a loader gives it. Of
                one that holds more than the model takes, such as inputs and targets, the first ones are given, or those of
                the names it knows. Where the signature leaves it open, what runs is meant.

        Raises:
            ValueError: Where the model cannot be called with it: says what was tried.
        """
        if isinstance(inputs, Call):
            return inputs
        return _chosen_form(model, inputs, loaded=isinstance(inputs, list))(inputs)

    @classmethod
    def of_method(cls, model: nn.Module, method: str, batch: Any) -> "Call":
        """The call of another method that takes a batch and perhaps its index, such as Lightning's training_step."""
        batch = batch.batch if isinstance(batch, Call) else batch
        function = getattr(unwrapped(model), method, None)
        if not callable(function):
            raise ValueError(f"{type(model).__name__} has no method {method!r} to be its loss.")
        return cls(*method_form(function, batch)[:2], batch, method)

    def __call__(self, model: nn.Module) -> Any:
        """Call `model`."""
        inner = unwrapped(model)
        if self.method == "forward" and not is_lightning(inner):
            return model(*self.args, **self.kwargs)
        with without_trainer(inner, self.method) as losses:
            function = model if self.method == "forward" else getattr(inner, self.method)
            output = function(*self.args, **self.kwargs)
        if output is None and losses:  # what it optimises by itself
            return torch.stack([each.sum() for each in losses]).sum()
        return output

    @property
    def contents(self) -> tuple[Any, ...]:
        """What a model could write to."""
        return self.args, self.kwargs, self.batch

    def map(self, change: Callable[[Tensor], Tensor]) -> "Call":
        """The same call with other tensors."""
        held = (self.args, self.kwargs, self.batch, self.beside)
        args, kwargs, batch, beside = (map_tensors(value, change) for value in held)
        return replace(self, args=args, kwargs=kwargs, batch=batch, beside=beside)


def sample_batches(model: nn.Module, inputs: Any, batches: int, loss: Any = None) -> list[Call]:
    """The calls to measure: of a loader its first batches, where the weights are; else the one that was given.

    A loader is asked once, at the door of whatever measures: another time it may give other batches, and starts its workers
    anew. What is last in a batch of it counts as targets, and is not given to the model unless it needs that many. Where the
    loss is a method, it is called itself if the model cannot be.

    Raises:
        ValueError: For fewer than one batch, a loader that has none, or a batch that the model cannot be called with.
    """
    if batches < 1:
        raise ValueError(f"At least one batch has to be measured, got batches={batches}.")
    if isinstance(inputs, Call):
        return [inputs]
    if loaded := _is_loader(model, inputs):
        found = _drawn(model, inputs, batches)
    else:
        found, loaded = [inputs], isinstance(inputs, list)
    try:
        call_of = _chosen_form(model, found[0], loaded)
    except ValueError:
        if not isinstance(loss, str):
            raise
        return [Call.of_method(model, loss, batch) for batch in found]
    return [call_of(batch) for batch in found]


def _drawn(model: nn.Module, inputs: Any, batches: int) -> list[Any]:
    """The first batches of a loader, where the weights are; the generators that it draws from stay the caller's."""
    parts = ("sampler", "batch_sampler", "dataset")
    drawing = [inputs, *(getattr(inputs, name) for name in parts if hasattr(inputs, name))]
    held = [each for holder in drawing for each in generators_in(getattr(holder, "__dict__", {}))]
    with preserve(*held, *([] if isinstance(inputs, DataLoader) else [inputs])):
        found = list(islice(inputs, batches))
    if not found:
        raise ValueError(f"The {type(inputs).__name__} has no batch to measure.")
    weight = next(model.parameters(), torch.empty(0))
    return [map_tensors(batch, lambda value: value.to(weight.device)) for batch in found]


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """What holds tensors, with other tensors."""
    if isinstance(value, Mapping) and not isinstance(value, dict):  # such as a tokenizer's
        value = dict(value)

    def changed(place: str, leaf: Any) -> Any:
        if isinstance(leaf, PackedSequence):
            return PackedSequence(change(leaf.data), *leaf[1:])
        return change(leaf) if isinstance(leaf, Tensor) else leaf

    return map_leaves(value, changed)


def _is_loader(model: nn.Module, inputs: Any) -> bool:
    """Whether it gives batches each time it is gone through: a DataLoader, or what somebody wrote to be one."""
    if isinstance(inputs, DataLoader):
        return True
    held = is_container(inputs) or isinstance(inputs, Tensor | PackedSequence | Iterator | Dataset | np.ndarray | str)
    if held or not isinstance(inputs, Iterable):
        return False
    try:  # it may be a batch of a class of its own
        choose(model, [[("", Call((inputs,), {}, inputs))]], inputs, certain=False)
    except ValueError:
        return True
    return False


def _chosen_form(model: nn.Module, batch: Any, loaded: bool) -> Callable[[Any], Call]:
    """What makes a call of a batch like this one."""
    if isinstance(batch, DataLoader | Dataset | Iterator):
        raise ValueError(f"One batch is needed here, got a {type(batch).__name__}: give next(iter(DataLoader(...))).")
    if not _has_forward(unwrapped(model)):
        raise ValueError(_no_forward(unwrapped(model)))
    rivals = rival_forms(unwrapped(model).forward, batch, loaded)

    def call_of(form: Form, batch: Any) -> Call:
        args, kwargs, beside = form.give(batch)
        return Call(args, kwargs, batch, beside=beside)

    name = type(unwrapped(model)).__name__
    attempts = [[(f"{name}({form.words})", call_of(form, batch)) for form in forms] for forms in rivals]
    every = [form for forms in rivals for form in forms]
    chosen = every[choose(model, attempts, batch, certain=not (loaded and is_container(batch)))]
    return lambda batch: call_of(chosen, batch)


def _has_forward(model: nn.Module) -> bool:
    owner = next(kind for kind in type(model).__mro__ if "forward" in vars(kind))
    return "forward" in vars(model) or not (owner is nn.Module or from_lightning(owner))


def _no_forward(model: nn.Module) -> str:
    kinds = [kind for kind in type(model).__mro__ if kind.__module__.partition(".")[0] != "torch"]
    kinds = [kind for kind in kinds if not from_lightning(kind)]
    own = {name for kind in kinds for name, value in vars(kind).items() if callable(value) and name[0] != "_"}
    example = f" (model.forward = model.{min(own)})" if own else ""
    return (
        f"{type(model).__name__} has no forward that could be called. Give it one{example}, or name the method that takes a "
        f'batch and gives the loss: loss="training_step". Its methods: {listed(own) or "none"}.'
    )
