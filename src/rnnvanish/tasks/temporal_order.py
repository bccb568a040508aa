"""Temporal order: two symbols among many say by their order which of four classes a sequence has.

The two lie far from each other and from the end, at places that are not known beforehand.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch.nn.functional import one_hot

from rnnvanish.cell import Paper
from rnnvanish.task import Batch, Part, Task

DISTRACTORS = 4  # a, b, c and d are 0 to 3
BEGIN, END, X = 4, 5, 6  # E, B and X; Y is 7


@final
@dataclass(frozen=True)
class TemporalOrder(Task):
    """The temporal order problem with two symbols.

    Read, one-hot: E, then any of a, b, c, d, with an X or a Y in the second tenth and another in the sixth, at the end B.
    Classes: 0 for X X, 1 for X Y, 2 for Y X, 3 for Y Y.

    Args:
        length: Steps of a sequence.

    Examples:
        >>> TemporalOrder(length=20).sample(3, torch.Generator()).inputs.shape
        torch.Size([20, 3, 8])
    """

    length: int = 100

    paper: ClassVar[Paper] = Paper(
        "Hochreiter & Schmidhuber",
        1997,
        "Long Short-Term Memory",
        "https://doi.org/10.1162/neco.1997.9.8.1735",
        where="experiment 6a, whose sequences have between 100 and 110 steps; here all have as many",
    )
    input_size: ClassVar[int] = 8
    output_size: ClassVar[int] = 4
    length_field: ClassVar[str] = "length"

    def __post_init__(self) -> None:
        self.need_at_least(4, length=self.length)

    @classmethod
    def options_at(cls, lag: int) -> dict[str, int]:
        """Steps from the first place that the first symbol may have to the answer."""
        return {"length": lag + 1 + max(1, lag // 9)}

    @property
    def floor(self) -> float:
        """Cross-entropy, in nats, of giving the four classes the same chance: ln 4."""
        return math.log(4)

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw symbols, and the places of those that count."""
        tenth, sequences = max(1, self.length // 10), torch.arange(count)
        read = torch.randint(DISTRACTORS, (self.length, count), generator=generator)
        read[0], read[-1] = BEGIN, END
        first, second = torch.randint(2, (2, count), generator=generator)
        read[tenth + torch.randint(tenth, (count,), generator=generator), sequences] = X + first
        read[self.length // 2 + torch.randint(tenth, (count,), generator=generator), sequences] = X + second
        return Batch(one_hot(read, self.input_size).float(), 2 * first + second, None)
