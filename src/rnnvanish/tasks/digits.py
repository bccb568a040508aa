"""Digits: a handwritten digit read pixel by pixel, row by row; say which it is."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, final

import torch
from torch import Tensor

from rnnvanish.cell import Paper
from rnnvanish.names import installed
from rnnvanish.task import Batch, Part, Task, class_floor, passes, stream


@final
@dataclass(frozen=True)
class Digits(Task):
    """The 8 x 8 images of scikit-learn's digits, as 64 steps of one pixel.

    Feature: a pixel from 0 to 1. Classes: the ten digits. Test part: every fifth image of each class, 355 of 1797.

    Args:
        permuted: Whether the pixels come in another order, one that was drawn once and is the same for all images, as Le,
            Jaitly & Hinton (2015) have it: what belongs together lies far apart then.
    """

    permuted: bool = False

    paper: ClassVar[Paper] = Paper(
        "Alpaydin & Kaynak",
        1998,
        "Optical Recognition of Handwritten Digits",
        "https://doi.org/10.24432/C50P49",
        where="the test set, as in sklearn.datasets.load_digits",
    )
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 10

    @property
    def floor(self) -> float:
        """Cross-entropy on the test part, in nats, of always giving the train part's frequencies: close to ln 10."""
        parts = _parts()
        return class_floor(parts["train"][1], parts["test"][1])

    @property
    def test_count(self) -> int:
        """All images of the test part."""
        return len(_parts()["test"][1])

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw images, none twice before all have come once."""
        pixels, classes = _parts()[part]
        chosen = passes(len(classes), count, generator)
        read = pixels[chosen].T.unsqueeze(-1)
        return Batch(read[_permutation()] if self.permuted else read, classes[chosen], None)


def _permutation() -> Tensor:
    """The order of the pixels that all permuted images share."""
    return torch.randperm(64, generator=stream("permuted digits"))


@cache
def _parts() -> dict[str, tuple[Tensor, Tensor]]:
    """Pixels (images, 64) and classes (images,) of each part."""
    images, digits = installed("sklearn.datasets", "data").load_digits(return_X_y=True)
    pixels, classes = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(digits)
    test = torch.zeros(len(classes), dtype=torch.bool)
    for digit in range(10):
        test[(classes == digit).nonzero().flatten()[4::5]] = True
    return {"train": (pixels[~test], classes[~test]), "test": (pixels[test], classes[test])}
