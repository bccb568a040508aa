"""The prologue of a loop: what a step needs of its weights, as operations of torch that are data, and its random numbers."""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rnnvanish.engine.autograd.distinct_gradients import with_distinct_gradients
from rnnvanish.numerics.real_view import pack


@dataclass(frozen=True)
class Draw:
    """What draws one random number of a step for each unit: the same that the step itself would draw.

    Attributes:
        name: "rand", "randn" or "bernoulli".
        width: Numbers for each sequence.
        dtype: Of these.
        chance: Of a one, where the numbers are zero or one.
    """

    name: str
    width: int
    dtype: torch.dtype
    chance: float = 0.5

    def __call__(self, batch: int, like: Tensor) -> Tensor:
        """Draw for a batch, on the device of a tensor."""
        if self.name == "bernoulli":
            return like.new_empty(batch, self.width, dtype=self.dtype).bernoulli_(self.chance)
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
class Rows:
    """A number that is that of the sequences, times another.

    Attributes:
        each: The other.
    """

    each: int


@dataclass(frozen=True)
class Call:
    """A call of an operation of torch, by its name: to be looked up, and never a text that is run.

    Attributes:
        name: As torch writes it, "aten.mul.Tensor"; "getitem" takes one of several results.
        args: Tensors as `Slot`, sizes of the batch as `Rows`, lists as tuples; else numbers, words, and what torch names: dtypes, devices.
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
    """What a step needs of its weights, or of its input alone: ordinary torch, differentiable.

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
        return self.run(0, *(with_distinct_gradients(weights) if self.joins else weights))

    def for_all_steps(self, invariants: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
        """Compute it for every step and sequence at once, where it is an input stage.

        Args:
            invariants: What it reads of the weights.
            rows: What it reads besides, (time, batch, width) each.

        Returns:
            Its results as real numbers side by side, (time, batch, numbers).
        """
        shape, own = rows[0].shape[:2], with_distinct_gradients(invariants) if invariants else ()
        found = self.run(shape.numel(), *own, *(each.flatten(0, 1) for each in rows))
        return torch.cat([pack(each.reshape(*shape, -1)).to(rows[0].dtype.to_real()) for each in found], -1)

    def run(self, rows: int, *given: Tensor) -> list[Tensor]:
        """Call after call, for so many sequences."""
        known: list[Any] = [*self.constants, *given]
        for call in self.calls:
            options = {name: _filled(arg, known, rows) for name, arg in call.options}
            known.append(call.function(*[_filled(arg, known, rows) for arg in call.args], **options))
        return [known[slot.index] for slot in self.results]

    @cached_property
    def joins(self) -> bool:
        """Whether a call reads two tensors: its gradient may then go to both."""
        return any(len(set(_slots((call.args, call.options)))) > 1 for call in self.calls)


#: No operations at all.
NOTHING = Prologue((), (), ())


def _slots(arg: Any) -> Iterator[Slot]:
    """Which tensors an argument names."""
    if isinstance(arg, Slot):
        yield arg
    elif isinstance(arg, tuple):
        for each in arg:
            yield from _slots(each)


def _filled(arg: Any, known: list[Any], rows: int) -> Any:
    """An argument with the tensors in the place of their slots, for so many sequences."""
    if isinstance(arg, Slot):
        return known[arg.index]
    if isinstance(arg, Rows):
        return arg.each * rows
    return [_filled(each, known, rows) for each in arg] if isinstance(arg, tuple) else arg
