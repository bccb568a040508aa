"""What a compiled loop leaves for a measure: its states, and the gradients by them, once it is differentiated."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class StateRecord:
    """One run of a loop, part by part of the state: (time + 1, batch, width), from before the first step on.

    Attributes:
        states: The states, once the loop has run; they belong to the loop, and nobody may change them.
        gradients: The gradients by them, of every backward that led here.
    """

    states: tuple[Tensor, ...] = ()
    gradients: list[tuple[Tensor, ...]] = field(default_factory=list)
