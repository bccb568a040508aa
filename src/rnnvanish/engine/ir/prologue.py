"""The prologue of a loop: what a step needs of its weights, as operations of torch that are data, and its random numbers."""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rnnvanish.engine.autograd.distinct_gradients import with_distinct_gradients


@dataclass(frozen=True)
class Draw:
    """What draws one random number of a step for each unit: the same that the step itself would draw.

    Attributes:
        name: "rand" or "randn".
        width: Numbers for each sequence.
        dtype: Of these.
    """

    name: str
    width: int
    dtype: torch.dtype

    def __call__(self, batch: int, like: Tensor) -> Tensor:
        """Draw for a batch, on the device of a tensor."""
        draw: Callable[..., Tensor] = {"rand": torch.rand, "randn": torch.randn}[self.name]
        return draw(batch, self.width, dtype=self.dtype, device=like.device)


@dataclass(frozen=True)
class Slot:
    """A tensor that is known by then: the constants first, the weights, and the results of all calls before.

    Attributes:
        index: Its place among these.
    """

    index: int


@dataclass(frozen=True)
class Call:
    """A call of an operation of torch, by its name: to be looked up, and never a text that is run.

    Attributes:
        name: As torch writes it, "aten.mul.Tensor"; "getitem" takes one of several results.
        args: Tensors as `Slot`, lists as tuples; else numbers, words, and what torch names: dtypes, devices.
        options: Arguments by name.
    """

    name: str
    args: tuple[Any, ...]
    options: tuple[tuple[str, Any], ...] = ()

    @cached_property
    def function(self) -> Callable[..., Any]:
        """What the name stands for; `AttributeError` where it stands for nothing."""
        if self.name == "getitem":
            return operator.getitem
        return operator.attrgetter(self.name)(torch.ops)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Prologue:
    """What a step needs of its weights: ordinary torch, differentiable.

    Attributes:
        constants: Tensors that are written in the cell.
        calls: What is computed, in this order.
        results: What it returns.
    """

    constants: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    results: tuple[Slot, ...]

    def __call__(self, *weights: Tensor) -> list[Tensor]:
        """Compute it from parameters and buffers."""
        known: list[Any] = [*self.constants, *(with_distinct_gradients(weights) if self.joins else weights)]
        for call in self.calls:
            options = {name: _filled(arg, known) for name, arg in call.options}
            known.append(call.function(*[_filled(arg, known) for arg in call.args], **options))
        return [known[slot.index] for slot in self.results]

    @cached_property
    def joins(self) -> bool:
        """Whether a call reads two tensors: its gradient may then go to both."""
        return any(len(set(_slots((call.args, call.options)))) > 1 for call in self.calls)


def _slots(arg: Any) -> Iterator[Slot]:
    """Which tensors an argument names."""
    if isinstance(arg, Slot):
        yield arg
    elif isinstance(arg, tuple):
        for each in arg:
            yield from _slots(each)


def _filled(arg: Any, known: list[Any]) -> Any:
    """An argument with the tensors in the place of their slots."""
    if isinstance(arg, Slot):
        return known[arg.index]
    return [_filled(each, known) for each in arg] if isinstance(arg, tuple) else arg
