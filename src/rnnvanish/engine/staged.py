"""A cell's step in stages: all that a loop needs of it, and nothing of how it was found."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from rnnvanish.engine.phases import Loop, Place
from rnnvanish.engine.unshared import joins, parting
from rnnvanish.engine.values import Value


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
        draw: Callable[..., Tensor] = getattr(torch, self.name)
        return draw(batch, self.width, dtype=self.dtype, device=like.device)


@dataclass(frozen=True)
class Once:
    """What a step needs of its weights: ordinary torch, differentiable.

    Attributes:
        text: A Python function `once(constants..., weights...)` of operations of torch, that returns a list.
        constants: Tensors that are written in the cell.
    """

    text: str
    constants: tuple[Tensor, ...]

    def __call__(self, *weights: Tensor) -> list[Tensor]:
        """Compute it from parameters and buffers."""
        given = parting(weights) if joins(self.text) else weights
        return _function(self.text)(*self.constants, *given)


@cache
def _function(text: str) -> Callable[..., list[Tensor]]:
    names: dict[str, Any] = {"torch": torch, "device": torch.device, "inf": torch.inf, "nan": torch.nan}
    exec(text, names)  # noqa: S102  (printed by `tracing`)
    return names["once"]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Staged:
    """A cell's step, in stages.

    Attributes:
        once: Parameters and buffers -> what the step needs of them.
        draws: What draws each random number of a step.
        floating: Which of the values of `once` are floating-point.
        complex: Which parts of the state are complex: a row of such a one is packed, see `pack`.
        onces: What is computed once, in the order of `once`.
        inputs: Values of x, ended and the draws.
        early: What is computed for all time steps at once, and its buffer.
        forward: The loop from the first step to the last.
        backward: The loop back.
        states: Values of the state before a step.
        new: Values of the state after it.
        at: Where the rows of forward and backward lie, after both.
        input_gradient: The gradient of x, for all time steps at once; None where x is not read.
        once_gradients: Those of the floating `onces`, summed over time.
        saved: Buffers of the loop there that the way back reads.
        keeps_carries: Whether these need the gradients of the states at every step.
    """

    once: Once
    draws: tuple[Draw, ...]
    floating: tuple[bool, ...]
    complex: tuple[bool, ...]
    onces: tuple[Value, ...]
    inputs: tuple[Value, ...]
    early: tuple[tuple[Value, str], ...]
    forward: Loop
    backward: Loop
    states: tuple[Value, ...]
    new: tuple[Value, ...]
    at: dict[Value, Place]
    input_gradient: Value
    once_gradients: tuple[Value, ...]
    saved: frozenset[str]
    keeps_carries: bool
