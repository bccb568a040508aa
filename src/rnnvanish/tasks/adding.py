"""Adding: two of many numbers are marked, one in each half; give their sum at the end.

A network has to carry the first marked number over at least one step and up to the whole sequence. The markers' places
are not known beforehand, so that a fixed window cannot do it.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from rnnvanish.cell import Paper
from rnnvanish.task import Batch, Part, Task


@final
@dataclass(frozen=True)
class Adding(Task):
    """The adding problem with one marker in each half.

    Features: a number from U(0, 1), and 1 where it is marked, else 0. Target: the sum of the two marked numbers.
    Right: within 0.04, as Hochreiter & Schmidhuber count.

    Args:
        length: Steps of a sequence.

    Examples:
        >>> Adding(length=6).sample(3, torch.Generator()).inputs.shape
        torch.Size([6, 3, 2])
    """

    length: int = 100

    paper: ClassVar[Paper] = Paper(
        "Arjovsky, Shah & Bengio",
        2016,
        "Unitary Evolution Recurrent Neural Networks",
        "https://arxiv.org/abs/1511.06464",
        where="the adding problem of Hochreiter & Schmidhuber (1997), with a marker in each half",
    )
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1
    tolerance: ClassVar[float | None] = 0.04
    length_field: ClassVar[str] = "length"

    def __post_init__(self) -> None:
        self.need_at_least(2, length=self.length)

    @classmethod
    def options_at(cls, lag: int) -> dict[str, int]:
        """Steps from the first step, which may be marked, to the answer."""
        return {"length": lag + 1}

    @property
    def floor(self) -> float:
        """Squared error of always saying 1: the variance of the sum of two numbers from U(0, 1), which is 2/12.

        Papers often print 0.1767 for it, a misprint that has been copied since; 1/6 is 0.1667.
        """
        return 1 / 6

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw numbers and markers."""
        numbers = torch.rand(self.length, count, generator=generator)
        half = self.length // 2
        first = torch.randint(half, (count,), generator=generator)
        second = torch.randint(half, self.length, (count,), generator=generator)
        marks = torch.zeros(self.length, count)
        marks[first, torch.arange(count)] = 1.0
        marks[second, torch.arange(count)] = 1.0
        return Batch(torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(0).unsqueeze(-1), None)
