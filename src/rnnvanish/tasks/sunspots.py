"""Sunspots: the number of spots on the sun, year by year since 1700; say how many the next year has."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, final

import torch
from torch import Tensor

from rnnvanish.cell import Paper
from rnnvanish.names import installed
from rnnvanish.task import Batch, Part, Task, passes

TRAIN_YEARS = 210  # 1700 to 1909; the test part has the 99 years from 1910 to 2008


@final
@dataclass(frozen=True)
class Sunspots(Task):
    """The next of the yearly sunspot numbers, from a window of the years before it.

    Feature and target: spots in a year, less the mean and divided by the standard deviation of the train part (about
    44 and 34 spots). Right: within half a standard deviation. Windows and their targets lie within one part.

    Args:
        window: Steps of a sequence, in years; a cycle of the sun takes about eleven.

    Examples:
        >>> Sunspots(window=22).sample(3, torch.Generator()).inputs.shape
        torch.Size([22, 3, 1])
    """

    window: int = 30

    paper: ClassVar[Paper] = Paper(
        "National Geophysical Data Center",
        2008,
        "Yearly sunspot numbers, 1700-2008",
        "https://www.ngdc.noaa.gov/stp/solar/solarda3.html",
        where="as in statsmodels.datasets.sunspots",
    )
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 1
    tolerance: ClassVar[float | None] = 0.5
    length_field: ClassVar[str] = "window"

    def __post_init__(self) -> None:
        self.need_at_least(1, window=self.window)
        most = len(_parts()["test"]) - 1
        if self.window > most:
            raise ValueError(f"Sunspots needs window <= {most}, the years of its test part, got {self.window}.")

    @property
    def floor(self) -> float:
        """Squared error of always saying the train part's mean, over the years that the test part asks for.

        In squared standard deviations of the train part; above 1, since the sun was busier after 1910.
        """
        return _parts()["test"][self.window :].square().double().mean().item()

    @property
    def test_count(self) -> int:
        """All windows of the test part."""
        return len(_parts()["test"]) - self.window

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw windows, none twice before all have come once."""
        years = _parts()[part]
        starts = passes(len(years) - self.window, count, generator)
        values = years[starts + torch.arange(self.window + 1)[:, None]].unsqueeze(-1)
        return Batch(values[:-1], values[-1], None)


@cache
def _parts() -> dict[str, Tensor]:
    """Standardised spots of each year of each part."""
    numbers = installed("statsmodels.datasets.sunspots", "data").load().endog.to_numpy()
    train, test = torch.tensor(numbers, dtype=torch.float32).tensor_split([TRAIN_YEARS])
    return {"train": (train - train.mean()) / train.std(), "test": (test - train.mean()) / train.std()}
