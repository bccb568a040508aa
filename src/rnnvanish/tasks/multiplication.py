"""Multiplication: two of many numbers are marked; give their product at the end."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from rnnvanish.cell import Paper
from rnnvanish.task import Batch, Part, Task

FIRST = 10  # the first of the two is one of so many


@final
@dataclass(frozen=True)
class Multiplication(Task):
    """The multiplication problem.

    Features: a number from U(0, 1), and 1 where it is marked, -1 at the first and the last step, else 0. One of the first
    ten numbers is marked, and another of the first half. Where that is the very first, whose mark cannot be seen, its
    number is 1. Target: the product of the two. Right: within 0.04.

    Args:
        length: Steps of a sequence.

    Examples:
        >>> Multiplication(length=6).sample(3, torch.Generator()).inputs.shape
        torch.Size([6, 3, 2])
    """

    length: int = 100

    paper: ClassVar[Paper] = Paper(
        "Hochreiter & Schmidhuber",
        1997,
        "Long Short-Term Memory",
        "https://doi.org/10.1162/neco.1997.9.8.1735",
        where="experiment 5, whose sequences have between T and 1.1 T steps; here all have as many",
    )
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1
    tolerance: ClassVar[float | None] = 0.04
    length_field: ClassVar[str] = "length"

    def __post_init__(self) -> None:
        self.need_at_least(4, length=self.length)

    @classmethod
    def options_at(cls, lag: int) -> dict[str, int]:
        """Steps from the second step, the first whose number may be needed, to the answer."""
        return {"length": lag + 2}

    @property
    def floor(self) -> float:
        """Squared error of always saying the mean: the variance of the product.

        Without the very first number it is that of two numbers from U(0, 1), 1/9 - 1/16; with it that of one of them.
        """
        half = self.length // 2
        first = min(FIRST, half)
        alone = 1 / first + (1 - 1 / first) / (half - 1)  # how often the very first is one of the two
        return alone / 3 + (1 - alone) / 9 - (alone / 2 + (1 - alone) / 4) ** 2

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw numbers and marks."""
        half, sequences = self.length // 2, torch.arange(count)
        numbers = torch.rand(self.length, count, generator=generator)
        first = torch.randint(min(FIRST, half), (count,), generator=generator)
        second = torch.randint(half - 1, (count,), generator=generator)
        second += second >= first  # of those that are not marked yet
        marks = torch.zeros(self.length, count)
        marks[first, sequences] = marks[second, sequences] = 1.0
        numbers[0, marks[0] == 1] = 1.0
        marks[0] = marks[-1] = -1.0
        targets = numbers[first, sequences] * numbers[second, sequences]
        return Batch(torch.stack([numbers, marks], dim=-1), targets.unsqueeze(-1), None)
