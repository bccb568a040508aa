"""Whether a model can learn across so many steps, by networks whose half-life and longest memory are both known."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from rnnvanish.diagnosis.outlook.regression import LONGEST, Relation, half_life_needed, log_odds, percentile, relation
from rnnvanish.probes.curve import Curve

#: Half-lives below this, in steps, are not told apart in words.
SHORTEST = 0.5


@dataclass(frozen=True, eq=False)
class Outlook:
    """Whether a network like this one learns across `lag` steps.

    Attributes:
        lag: The distance asked for, in steps.
        half_life: Of this model, in steps.
        chance: The part of networks with this half-life that learn this far, as the relation has it; and its interval.
        needed: Half-life in steps from which on half of the networks learn this far; and its interval.
        decades: Powers of ten that the gradient loses over this distance, at this model's rate.
        explodes: Whether it grows instead: then the relation, of networks that lose it, says nothing.
        relation: What this rests on.
    """

    lag: int
    half_life: float
    chance: tuple[float, float, float]
    needed: tuple[float, float, float]
    decades: float
    explodes: bool
    relation: Relation

    #: What JSON has of it.
    in_json: ClassVar = ("lag", "half_life", "chance", "needed", "decades", "verdict", "says")

    @property
    def verdict(self) -> Literal["likely", "open", "unlikely"]:
        """ "likely" or "unlikely" where the whole interval says so, else "open"."""
        if self.explodes:
            return "open"
        return "likely" if self.chance[1] > 0.5 else "unlikely" if self.chance[2] < 0.5 else "open"

    @property
    def title(self) -> str:
        """The question."""
        return f"Can it learn across {self.lag} steps?"

    @property
    def says(self) -> str:
        """The same in words, and what it rests on."""
        return str(self)

    def __str__(self) -> str:
        across = f"Across {self.lag} step{'s' if self.lag > 1 else ''}"
        if self.explodes:
            return f"{across}: open. The gradient explodes, which has to be mended first."
        known = self.relation
        middle, low, high = known.correlation
        nearest, farthest = min(known.lags), max(known.lags)
        outside = ""
        if self.lag > farthest:
            outside = "; the line is drawn on beyond that"
        elif self.lag < nearest:
            outside = "; whoever learns that learns a shorter distance, too"
        return " ".join(
            (
                f"{across}: {self.verdict}.",
                f"Of networks with a half-life of {_steps(self.half_life)} steps before training, {_chance(self.chance)}.",
                _needed(self.needed),
                f"This rests on {len(known.points)} short trainings of {len(known.pairs)} pairs of cell and start",
                f"to remember one bit over {nearest:g} to {farthest:g} steps{outside}.",
                f"In them a longer half-life went with a longer distance: rank correlation {middle:.2f}",
                f"({low:.2f} to {high:.2f}).",
                "Your task is another one: it is a rule of thumb.",
            )
        )


def outlook(curve: Curve, lag: int, cell: str = "") -> Outlook:
    """Say whether a network that loses its gradient like this one learns across `lag` steps.

    Args:
        curve: Its retention before training; of several layers that with the longest half-life.
        lag: The distance between what is to be remembered and where it is needed, in steps.
        cell: Class of the cell, such as "LSTM": plain and gated networks are compared with their own kind.

    Raises:
        ValueError: For a lag below 1, or a curve without a half-life.
    """
    if lag < 1:
        raise ValueError(f"A lag of at least 1 step is needed, got {lag}.")
    if math.isnan(curve.half_life):
        raise ValueError(f"A curve with a half-life is needed, this one is {curve.verdict}.")
    known = relation(cell)
    return Outlook(
        lag=lag,
        half_life=curve.half_life,
        chance=_with_interval(torch.sigmoid(log_odds(known.lines, curve.half_life, lag))),
        needed=_with_interval(half_life_needed(known.lines, lag)),
        decades=max(0.0, -curve.rate * lag / math.log(10)),
        explodes=curve.verdict == "exploding",
        relation=known,
    )


def _with_interval(values: torch.Tensor) -> tuple[float, float, float]:
    """What all pairs say, and the 95 % interval of what pairs drawn anew say."""
    drawn = sorted(values[1:].tolist())
    return float(values[0]), percentile(drawn, 0.025), percentile(drawn, 0.975)


def _steps(steps: float) -> str:
    if steps < SHORTEST:
        return f"less than {SHORTEST:g}"
    return f"more than {LONGEST:g}" if steps > LONGEST else f"{float(f'{steps:.2g}'):g}"


def _needed(needed: tuple[float, float, float]) -> str:
    middle, low, high = map(_steps, needed)
    if needed[0] < SHORTEST:
        return "For half of them to learn it nearly any half-life is enough."
    between = "" if low == high else f" ({low} to {high})"
    return f"For half of them to learn it a half-life of {middle} steps is needed{between}."


def _chance(chance: tuple[float, float, float]) -> str:
    middle, low, high = map(_part, chance)
    return f"{middle} learn that far" + ("" if low == high else f" ({low} to {high})")


def _part(chance: float) -> str:
    return f"{100 * chance:.0f} %" if 0.01 <= chance <= 0.99 else "less than 1 %" if chance < 0.5 else "more than 99 %"
