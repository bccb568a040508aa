"""A claim about learning, on a grid: at each point each side is trained at its own best rate, and all points decide.

It holds where it holds at every point that counts, does not hold where it holds at none, and holds with a caveat else;
then it says in words on which axis it turns. A point at which neither side learns is shown, and does not count.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any, ClassVar

from rnnvanish.claim import Bounds, Claim, Control, Measurement, Source, Verdict
from rnnvanish.experiments import claim_study
from rnnvanish.experiments.claim_study import Network, Outcome
from rnnvanish.records import ledger
from rnnvanish.templates import render
from rnnvanish.templates.words import words

#: Axes of grids, as trials name them.
WIDTHS, OPTIMISERS, TASKS = (16, 64, 256), ("adam", "sgd"), ("recall", "adding")


@dataclass(frozen=True)
class Grid:
    """Where a claim is measured: every combination of widths, optimisers, tasks, lags and how far weights stretch.

    Attributes:
        budget: Steps of training at most.
    """

    lag: tuple[int, ...]
    hidden_size: tuple[int, ...] = WIDTHS
    optimizer: tuple[str, ...] = OPTIMISERS
    task: tuple[str, ...] = TASKS
    stretch: tuple[float, ...] = ()
    budget: int = 400

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Its axes, and the values on them."""
        named = {name: getattr(self, name) for name in words()["axes"]}
        return {name: values for name, values in named.items() if values}

    def points(self) -> list[dict[str, Any]]:
        """Every combination."""
        return [dict(zip(self.axes, values, strict=True)) for values in product(*self.axes.values())]

    def __str__(self) -> str:
        said = ", ".join(_on(axis, values, " and ") for axis, values in self.axes.items())
        return f"{said}; at most {self.budget} steps; each at its best of four rates, chosen with two seeds; three fresh seeds"


@dataclass(frozen=True)
class Point:
    """What was measured at a point.

    Attributes:
        at: The values of the axes.
        sides: What became of each side.
        value: The statistic; None where the point does not count, or a result is missing.
        verdict: What it says here; None without a value.
    """

    at: Mapping[str, Any]
    sides: tuple[Outcome, ...]
    value: float | None
    verdict: Verdict | None

    @property
    def missing(self) -> int:
        """How many results are missing."""
        return sum(side.missing for side in self.sides)

    @property
    def word(self) -> str:
        """The verdict here, or why there is none."""
        if self.verdict is not None:
            return str(words()["verdicts"][self.verdict.kind])
        return str(words()["grid"]["missing" if self.missing else "uncounted"])


@dataclass(frozen=True)
class GridMeasurement(Measurement):
    """What a claim's statistic gave, a value a point that counts."""

    draw: ClassVar[str] = "point"
    points: tuple[Point, ...] = ()

    @property
    def missing(self) -> int:
        """At how many points a result is missing."""
        return sum(point.missing > 0 for point in self.points)


def learns(side: Outcome) -> bool:
    """Whether any of its fresh seeds learns."""
    return side.share > 0


@dataclass(frozen=True)
class GridClaim(Claim):
    """A claim that reads a grid of the study `claims`; its sample takes what became of each side at a point.

    Attributes:
        sides: The networks that are compared.
        grid: Where.
        counts: Of one side, whether a point counts for its sake.
        learner: Whether the sentence says that the first side learns, or that it does not; None where it says neither.
    """

    sides: tuple[Network, ...] = ()
    grid: Grid = field(default_factory=lambda: Grid(()))
    counts: Callable[[Outcome], bool] = learns
    learner: bool | None = None

    def measure(self, seeds: int | None = None, first: int | None = None) -> Measurement:
        """Read the study: its seeds are its own, and `make claims` trains what is missing."""
        return self._measured(range(1))

    def recall(self, part: str = "values") -> Measurement:
        """Read the study; with the ingredients of the control for "control"."""
        other = self.control.ingredients if part == "control" and self.control is not None else {}
        return self._measured(range(1), **other)

    def keep(self, measurement: Measurement) -> None:
        """Keep nothing: the study keeps it."""

    def hold(self, measurement: Measurement) -> Measurement:
        """Return the measurement; raise `ClaimBroken` where its verdict is not the stated one, and no result is missing."""
        return measurement if _missing(measurement) else super().hold(measurement)

    def check_control(self) -> Measurement:
        """Read the control; raise `ClaimBroken` where its verdict is not another one, and no result is missing."""
        if _missing(measurement := self.recall("control")):
            return measurement
        return super().check_control()

    def found(self, measurement: Measurement) -> str:
        """What the measurement says, and on which axis it turns."""
        points = measurement.points if isinstance(measurement, GridMeasurement) else ()
        if missing := _missing(measurement):
            return str(words()["grid"]["incomplete"].format(missing=missing, points=len(points)))
        return " ".join(filter(None, [self.finding, turns(points)]))

    def agreement(self, measurement: Measurement) -> str:
        """Say at how many of the points that count it holds."""
        holds = sum(value in self.bounds[Verdict.HOLDS] for value in measurement.values)
        count = 0 if any(map(math.isnan, measurement.values)) else len(measurement.values)
        return str(words()["grid"]["agree"].format(holds=holds, points=count))

    def evidence(self, measurement: Measurement) -> dict[str, str]:
        """All points, as a table for the box, and what came out with the seeds by which the claim was made."""
        said, before = words()["grid"], self.before()
        text = said["seen"].format(verdict=words()["verdicts"][before.verdict.kind], agreement=self.agreement(before))
        return {said["points"]: render("points.html", **self._table(measurement)), said["before"]: text}

    def before(self) -> "GridMeasurement":
        """What came out with the seeds that were seen before sentence, bounds and control were fixed."""
        return self._measured(range(1), among=claim_study.SEEN)

    def to_json(self, measurement: Measurement) -> dict[str, Any]:
        """Everything there is to know of one measurement of this claim, with all its points."""
        table = self._table(measurement)
        points = [dict(zip(table["head"], row, strict=True)) for row in table["rows"]]
        values = [point.value for point in measurement.points] if isinstance(measurement, GridMeasurement) else []
        return super().to_json(measurement) | {
            "seeds": len(claim_study.fresh()),
            "missing": _missing(measurement),
            "before": str(self.before().verdict),
            "points": [
                point | {"statistic": None if value is None else ledger.number(value)}
                for point, value in zip(points, values, strict=True)
            ],
        }

    def lines(self, measurement: Measurement) -> str:
        """All points as people read them in a terminal."""
        table = self._table(measurement)
        rows = [table["head"], *table["rows"]]
        widths = [max(len(row[place]) for row in rows) for place in range(len(table["head"]))]
        padded = ("  ".join(f"{each:<{width}}" for each, width in zip(row, widths, strict=True)) for row in rows)
        return "".join(f"      {line.rstrip()}\n" for line in padded)

    def _table(self, measurement: Measurement) -> dict[str, Any]:
        points = measurement.points if isinstance(measurement, GridMeasurement) else ()
        axes = [axis for axis, values in self.grid.axes.items()]
        head = [words()["axes"][axis]["name"] for axis in axes]
        rows = [
            [*(_named(point.at[axis]) for axis in axes), *(_said(side) for side in point.sides), point.word]
            for point in points
        ]
        return {"head": [*head, *(side.words for side in self.sides), words()["grid"]["verdict"]], "rows": rows}

    def _measured(self, seeds: range, **ingredients: Any) -> GridMeasurement:
        sides: tuple[Network, ...] = ingredients.get("sides", self.sides)
        grid: Grid = ingredients.get("grid", self.grid)
        among: Collection[int] = ingredients.get("among", claim_study.fresh())
        points = tuple(self._at(point, sides, grid.budget, among) for point in grid.points())
        values = tuple(point.value for point in points if point.value is not None)
        seconds = sum(row["seconds"] for point in points for side in point.sides for row in side.rows)
        made = claim_study.origin()
        return GridMeasurement(
            values or (math.nan,),
            self._together(points),
            seconds,
            made,
            claim_study.outdated(),
            claim_study.again(),
            points,
        )

    def _at(self, at: Mapping[str, Any], networks: tuple[Network, ...], budget: int, among: Collection[int]) -> Point:
        sides = tuple(claim_study.outcome(network, at, budget, among) for network in networks)
        if any(side.missing for side in sides) or not any(map(self.counts, sides)):
            return Point(at, sides, None, None)
        value = float(self.sample(*sides))
        return Point(at, sides, value, self._judge(value))

    def _together(self, points: tuple[Point, ...]) -> Verdict:
        verdicts = {point.verdict for point in points if point.verdict is not None}
        if any(point.missing for point in points) or not verdicts:
            return Verdict.UNDECIDED
        if verdicts in ({Verdict.HOLDS}, {Verdict.FAILS}):
            return verdicts.pop()
        return Verdict.CAVEAT


def turns(points: tuple[Point, ...]) -> str:
    """Say in words on which axis it turns whether it holds; nothing where it is the same everywhere.

    One axis if it decides alone, else two; where two do not decide either, how often it holds along that which says most.
    """
    counted = [point for point in points if point.verdict is not None]
    axes = [axis for axis in words()["axes"] if len({point.at.get(axis) for point in counted}) > 1]
    if len({point.verdict == Verdict.HOLDS for point in counted}) < 2:
        return ""
    said = words()["grid"]
    for chosen in [*combinations(axes, 1), *combinations(axes, 2)]:
        groups = _holding(counted, chosen)
        if all(held in (0, count) for held, count in groups.values()):
            holds, fails = (
                _places(chosen, [place for place, (held, _) in groups.items() if bool(held) == wanted])
                for wanted in (True, False)
            )
            shape = {(1, 1): "turns", (1, 0): "only", (0, 1): "but", (0, 0): "apart"}[len(holds) == 1, len(fails) == 1]
            return str(said[shape].format(holds="; ".join(holds), fails="; ".join(fails)))
    axis = max(axes, key=lambda each: _spread(_holding(counted, (each,))))
    parts = [
        said["often"].format(place=_on(axis, place), held=held, count=count)
        for place, (held, count) in _holding(counted, (axis,)).items()
    ]
    return str(said["mostly"].format(parts=", ".join(parts)))


def _holding(points: list[Point], axes: tuple[str, ...]) -> dict[tuple[Any, ...], tuple[int, int]]:
    """At each place on some axes, at how many points it holds, and of how many."""
    places: dict[tuple[Any, ...], tuple[int, int]] = {}
    for point in points:
        place = tuple(point.at[axis] for axis in axes)
        held, count = places.get(place, (0, 0))
        places[place] = (held + (point.verdict == Verdict.HOLDS), count + 1)
    return places


def _spread(groups: Mapping[Any, tuple[int, int]]) -> float:
    shares = [held / count for held, count in groups.values()]
    return max(shares) - min(shares)


def _places(axes: tuple[str, ...], places: list[tuple[Any, ...]]) -> list[str]:
    """Places on one or two axes in words: "with Adam at width 16 or 64", "with SGD at width 16"."""
    if len(axes) == 1:
        return [_on(axes[0], tuple(place[0] for place in places))]
    first = dict.fromkeys(place[0] for place in places)
    return [
        f"{_on(axes[0], (each,))} {_on(axes[1], tuple(place[1] for place in places if place[0] == each))}"
        for each in first
    ]


def _on(axis: str, values: tuple[Any, ...], last: str = " or ") -> str:
    """Values of an axis in words: "at width 16, 64 or 256"."""
    *others, final = map(_named, values)
    joined = f"{', '.join(others)}{last}{final}" if others else final
    return str(words()["axes"][axis]["at"].format(joined))


def _named(value: Any) -> str:
    return str(words()["values"].get(value, f"{value:g}" if isinstance(value, float) else value))


def _said(side: Outcome) -> str:
    return str(words()["grid"]["missing"]) if side.missing else str(side)


def _missing(measurement: Measurement) -> int:
    return measurement.missing if isinstance(measurement, GridMeasurement) else 0


def grid_claim(
    *,
    section: int,
    sentence: str,
    finding: str,
    scope: str,
    statistic: str,
    unit: str,
    sides: tuple[Network, ...],
    grid: Grid,
    stated: Verdict,
    holds: Bounds,
    fails: Bounds,
    control: Control,
    counts: Callable[[Outcome], bool] = learns,
    learner: bool | None = None,
    source: Source | None = None,
) -> Callable[[Callable[..., float]], GridClaim]:
    """Turn a function of what became of each side at a point into a claim named after it and its module.

    Args:
        section: As `Claim` has it; so sentence, finding, statistic, unit, stated, control and source.
        sentence: What people say.
        finding: What the measurement says; on which axis it turns is added.
        scope: Of which networks; the grid is added.
        statistic: What is measured at a point.
        unit: Of the statistic.
        sides: The networks that are compared.
        grid: Where.
        stated: The verdict that the text states.
        holds: Where the statistic of a point must lie for it to hold there.
        fails: Where for it not to.
        control: Other `sides`, or another `grid`, for which it must come out otherwise.
        counts: Of one side, whether a point counts for its sake.
        learner: Whether the sentence says that the first side learns, or that it does not.
        source: Where people say so.
    """

    def decorate(sample: Callable[..., float]) -> GridClaim:
        return GridClaim(
            id=f"{sample.__module__.rpartition('.')[2]}.{sample.__name__}",
            section=section,
            sentence=sentence,
            finding=finding,
            scope=f"{scope}; {grid}",
            statistic=statistic,
            unit=unit,
            sample=sample,
            bounds={Verdict.HOLDS: holds, Verdict.FAILS: fails},
            stated=stated,
            stored=True,
            control=control,
            source=source,
            sides=sides,
            grid=grid,
            counts=counts,
            learner=learner,
        )

    return decorate
