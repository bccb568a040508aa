"""Half-life before training against the longest memory that is learnt: what was measured, and a line through it.

The measurement is that of the capstone of the explanation: pairs of a cell and a start, each with its half-life before
training and the longest distance over which it then learnt to remember one bit, at its own best rate. Read from a study.
"""

import itertools
import math
import random
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish import cells

#: Half-lives beyond this count as this, in steps: an infinite one has no logarithm.
LONGEST = 1000.0
DRAWS = 400

#: Name of the pair, half-life before training in steps, longest distance learnt in steps (0: none of those tried).
Point = tuple[str, float, float]


@dataclass(frozen=True, eq=False)
class Relation:
    """What was measured, and what was made of it.

    Attributes:
        points: One for each pair of cell and start, and seed.
        lags: The distances that were tried, in steps.
        correlation: Spearman's rank correlation of half-life and longest distance, over all points; with its interval.
        lines: Log-odds of learning: intercept, slope against ln half-life, slope against ln distance. The first row is
            fitted to all pairs, each of the others to pairs drawn anew with replacement.
    """

    points: tuple[Point, ...]
    lags: tuple[float, ...]
    correlation: tuple[float, float, float]
    lines: Float[Tensor, "draws 3"]

    @property
    def pairs(self) -> tuple[str, ...]:
        """Names of the pairs."""
        return tuple(dict.fromkeys(name for name, _, _ in self.points))


@cache
def relation(cell: str = "") -> Relation:
    """Fit what was measured of networks with this kind of cell; of all, if it is of another kind."""
    points, lags = measured()
    return fitted([point for point in points if point[0].startswith(_names_alike(cell))], lags)


@cache
def measured() -> tuple[list[Point], list[float]]:
    """Read the study: each pair and seed that was trained at every distance, and these distances."""
    from rnnvanish.studies.reader import memories

    trained = memories()
    points = [(_named(*pair[:2]), rows[-1]["half_life_before"], _longest(rows)) for pair, rows in trained.items()]
    return points, sorted({float(row["lag"]) for rows in trained.values() for row in rows})


def _named(cell: str, start: str) -> str:
    """A pair by the class that torch has of its cell, with what else was chosen."""
    kind, bracket, options = cell.partition("(")
    twin = cells.ALL[kind].torch_twin
    return f"{twin.__name__ if twin else kind}{bracket}{options}, {start or 'as drawn'}"


def _longest(rows: list[dict[str, Any]]) -> float:
    """The longest distance learnt, in steps; the first failure ends it."""
    learnt = itertools.takewhile(lambda row: row["solved"] is not None, rows)
    return max((float(row["lag"]) for row in learnt), default=0.0)


def fitted(points: list[Point], lags: list[float]) -> Relation:
    """Fit the chance of learning across each of `lags`, given the half-life; and again to pairs that are drawn anew."""
    names = sorted({name for name, _, _ in points})
    dice = random.Random(0)
    drawn = [names, *(dice.choices(names, k=len(names)) for _ in range(DRAWS))]
    correlations = sorted(
        value
        for chosen in drawn[1:]
        if not math.isnan(value := _spearman([point for name in chosen for point in points if point[0] == name]))
    )
    rows = [(name, (1.0, _log(h), math.log(lag)), float(lag <= longest)) for name, h, longest in points for lag in lags]
    often = torch.tensor([[chosen.count(name) for name, _, _ in rows] for chosen in drawn], dtype=torch.float64)
    design = torch.tensor([row for _, row, _ in rows], dtype=torch.float64)
    learnt = torch.tensor([outcome for _, _, outcome in rows], dtype=torch.float64)
    interval = (percentile(correlations, 0.025), percentile(correlations, 0.975))
    return Relation(tuple(points), tuple(lags), (_spearman(points), *interval), _logistic(design, learnt, often))


def _names_alike(cell: str) -> tuple[str, ...]:
    """What the names of pairs with this kind of cell begin with: a plain one's, or those of cells with a gate that keeps.

    Pairs are named by the class that torch has of their cell.
    """
    kind = cells.ALL.get(cell)
    if kind is None or not (kind.plain or kind.keeps):
        return ("",)
    return tuple(
        each.torch_twin.__name__ for each in cells.ALL.values() if each.torch_twin and each.plain == kind.plain
    )


def log_odds(lines: Float[Tensor, "draws 3"], half_life: float, lag: float) -> Float[Tensor, " draws"]:
    """Log-odds of learning across `lag` steps with a half-life, by each line."""
    return lines @ torch.tensor([1.0, _log(half_life), math.log(lag)], dtype=torch.float64)


def half_life_needed(lines: Float[Tensor, "draws 3"], lag: float) -> Float[Tensor, " draws"]:
    """The half-life at which half of the networks learn across `lag` steps, by each line."""
    needed = (-(lines[:, 0] + lines[:, 2] * math.log(lag)) / lines[:, 1]).exp()
    return torch.where(lines[:, 1] > 0, needed, torch.inf)


def percentile(values: list[float], part: float) -> float:
    """The value below which this part of sorted values lies."""
    return values[min(int(part * len(values)), len(values) - 1)] if values else math.nan


def _logistic(
    design: Float[Tensor, "rows 3"], outcome: Float[Tensor, " rows"], often: Float[Tensor, "draws rows"]
) -> Float[Tensor, "draws 3"]:
    """Newton's method for every draw at once; a little ridge keeps it finite where outcomes are parted cleanly."""
    ridge = 1e-2 * torch.eye(3, dtype=torch.float64)
    lines = torch.zeros(len(often), 3, dtype=torch.float64)
    for _ in range(30):
        chance = torch.sigmoid(lines @ design.T)
        slope = (often * (outcome - chance)) @ design - lines @ ridge
        curvature = torch.einsum("dr,ri,rj->dij", often * chance * (1 - chance), design, design) + ridge
        lines = lines + torch.linalg.solve(curvature, slope)
    return lines


def _spearman(points: list[Point]) -> float:
    ranks = torch.stack([_ranks(torch.tensor([point[place] for point in points])) for place in (1, 2)])
    return float(torch.corrcoef(ranks)[0, 1])


def _ranks(values: Float[Tensor, " points"]) -> Float[Tensor, " points"]:
    """From 1 up; equal values share the mean of their ranks."""
    below, equal = (values[:, None] > values).sum(1), (values[:, None] == values).sum(1)
    return below.double() + (equal.double() + 1) / 2


def _log(half_life: float) -> float:
    return math.log(min(max(half_life, 1 / LONGEST), LONGEST))
