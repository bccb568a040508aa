"""Recall: the first input matters, noise follows, and the first input's sign is asked for at the end.

The smallest task that needs memory: a single bit, over a distance that is known exactly.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from rnnvanish.cell import Paper
from rnnvanish.task import Batch, Part, Task

NOISE = 0.5  # standard deviation


@final
@dataclass(frozen=True)
class Recall(Task):
    """Latching: the sequence's class is the sign of its first input.

    Feature: 1 or -1 at the first step, then noise from N(0, 0.5²). Classes: 0 for -1, 1 for 1.

    Args:
        length: Steps of a sequence; the bit has to be kept for `length` - 1 of them.

    Examples:
        >>> Recall(length=6).sample(3, torch.Generator()).inputs.shape
        torch.Size([6, 3, 1])
    """

    length: int = 50

    paper: ClassVar[Paper] = Paper(
        "Bengio, Simard & Frasconi",
        1994,
        "Learning Long-Term Dependencies with Gradient Descent is Difficult",
        "https://doi.org/10.1109/72.279181",
        where="the minimal task, with a bit in place of a learnt input",
    )
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 2
    length_field: ClassVar[str] = "length"

    def __post_init__(self) -> None:
        self.need_at_least(1, length=self.length)

    @classmethod
    def options_at(cls, lag: int) -> dict[str, int]:
        """Steps from the bit to the answer."""
        return {"length": lag + 1}

    @property
    def floor(self) -> float:
        """Cross-entropy, in nats, of giving both signs the same chance: ln 2."""
        return math.log(2)

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw bits and noise."""
        classes = torch.randint(2, (count,), generator=generator)
        inputs = NOISE * torch.randn(self.length, count, 1, generator=generator)
        inputs[0, :, 0] = 2.0 * classes - 1.0
        return Batch(inputs, classes, None)
