"""Copying: read ten symbols, wait, and write them down again when told to."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from rnnvanish.cell import Paper
from rnnvanish.task import Batch, Part, Task

SYMBOLS = 10  # to remember; each is one of 1 to 8
BLANK, GO = 0, 9


@final
@dataclass(frozen=True)
class Copying(Task):
    """The copying memory problem.

    Read: ten symbols of 1 to 8, `delay` - 1 blanks (0), the signal to go (9), ten blanks, one-hot; `delay` + 20 steps
    in all. Asked at every step: a blank until the signal has been read, then the ten symbols in their order.

    Args:
        delay: Steps from the end of the symbols to the signal, the signal included.

    Examples:
        >>> Copying(delay=5).sample(3, torch.Generator()).targets.shape
        torch.Size([25, 3])
    """

    delay: int = 50

    paper: ClassVar[Paper] = Paper(
        "Arjovsky, Shah & Bengio",
        2016,
        "Unitary Evolution Recurrent Neural Networks",
        "https://arxiv.org/abs/1511.06464",
        where="the copying memory problem, after Hochreiter & Schmidhuber (1997)",
    )
    input_size: ClassVar[int] = 10
    output_size: ClassVar[int] = 9
    answer: ClassVar[Literal["last", "every"]] = "every"
    length_field: ClassVar[str] = "delay"

    def __post_init__(self) -> None:
        self.need_at_least(1, delay=self.delay)

    @classmethod
    def options_at(cls, lag: int) -> dict[str, int]:
        """Steps from reading a symbol to writing it down."""
        return {"delay": lag - SYMBOLS}

    @property
    def floor(self) -> float:
        """Cross-entropy a step, in nats, of blanks until the signal and then any of the eight symbols: 10 ln 8 / steps.

        This is the usual baseline. It knows when to answer, and nothing of what it has read.
        """
        return SYMBOLS * math.log(8) / (self.delay + 2 * SYMBOLS)

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw symbols."""
        symbols = torch.randint(1, 9, (SYMBOLS, count), generator=generator)
        read = torch.full((self.delay + 2 * SYMBOLS, count), BLANK)
        asked = read.clone()
        read[:SYMBOLS] = symbols
        read[SYMBOLS + self.delay - 1] = GO
        asked[-SYMBOLS:] = symbols
        return Batch(one_hot(read, self.input_size).float(), asked, None)

    def score(self, prediction: Tensor, batch: Batch) -> float:
        """Fraction of the ten symbols that are right; the blanks before them are no achievement."""
        return (prediction[-SYMBOLS:].argmax(-1) == batch.targets[-SYMBOLS:]).double().mean().item()
