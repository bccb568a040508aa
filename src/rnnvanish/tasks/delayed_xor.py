"""Delayed XOR: at every step, say whether the bits of two earlier steps differ."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from rnnvanish.cell import Paper
from rnnvanish.task import Batch, Part, Task


@final
@dataclass(frozen=True)
class DelayedXOR(Task):
    """The delayed XOR task of Engelken, with one stream of bits.

    Feature: a bit, 0 or 1. Asked at every step: 1 where the bits of `delay` and of twice `delay` steps ago differ, else 0;
    0 in the first steps too, that have none so far back.

    Args:
        delay: Steps from the later of the two bits to the answer.
        length: Steps of a sequence.

    Examples:
        >>> DelayedXOR(delay=2, length=9).sample(3, torch.Generator()).targets.shape
        torch.Size([9, 3])
    """

    delay: int = 10
    length: int = 60

    paper: ClassVar[Paper] = Paper(
        "Engelken",
        2023,
        "Gradient Flossing: Improving Gradient Descent through Dynamic Control of Jacobians",
        "https://arxiv.org/abs/2312.17306",
        where="the delayed XOR of the authors' code, GradientFlossing_XOR.jl with task = -1; classes in place of a squared error",
    )
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 2
    answer: ClassVar[Literal["last", "every"]] = "every"

    def __post_init__(self) -> None:
        self.need_at_least(1, delay=self.delay)
        self.need_at_least(2 * self.delay + 1, length=self.length)

    @classmethod
    def options_at(cls, lag: int) -> dict[str, int]:
        """Steps from the earlier bit to the answer; a third of all steps have none."""
        return {"delay": lag // 2, "length": 6 * (lag // 2)}

    @property
    def floor(self) -> float:
        """Cross-entropy a step, in nats, of 0 in the first steps and then any of the two: ln 2 of those that ask."""
        return math.log(2) * (self.length - 2 * self.delay) / self.length

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw bits."""
        bits = torch.randint(2, (self.length, count), generator=generator)
        asked = torch.zeros_like(bits)
        asked[2 * self.delay :] = bits[self.delay : -self.delay] ^ bits[: -2 * self.delay]
        return Batch(bits.unsqueeze(-1).float(), asked, None)

    def score(self, prediction: Tensor, batch: Batch) -> float:
        """Fraction of the answers that are right; the zeros before them are no achievement."""
        right = prediction.argmax(-1) == batch.targets
        return right[2 * self.delay :].double().mean().item()
