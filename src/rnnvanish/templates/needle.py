"""The picture of a verdict: a needle at the middle of what was measured, between the bounds that decide."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnnvanish.numerals import in_words
from rnnvanish.templates import render
from rnnvanish.templates.words import words

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, EDGE = 360, 8.0
LETTER = 6.6  # width of one, about
LONGEST = 26  # letters of a unit that stands beside its number
FACTOR = 20  # numbers that differ more than so many times stand on a scale of factors


@dataclass(frozen=True)
class Zone:
    """Where the middle must lie for a verdict: its kind, as the site's colours call it, and both bounds."""

    kind: str
    low: float
    high: float

    def __str__(self) -> str:
        said = words()["needle"]
        name = (
            "between" if math.isfinite(self.low + self.high) else "at least" if math.isfinite(self.low) else "at most"
        )
        bounds = said[name].format(low=in_words(self.low), high=in_words(self.high))
        return str(said["zone"].format(verdict=words()["verdicts"][self.kind], bounds=bounds))


class Scale:
    """Where numbers stand in the picture, from its left edge to its right; infinite ones stand at the edges.

    Numbers of one sign that differ by many powers of ten stand on a scale of factors, zero at its left edge.

    Args:
        numbers: All that have to find a place.
    """

    def __init__(self, numbers: Sequence[float]) -> None:
        finite = [number for number in numbers if math.isfinite(number)]
        sizes = [number for number in finite if number > 0]
        self.factors = bool(sizes) and min(finite) >= 0 and max(sizes) > FACTOR * min(sizes)
        places = list(map(math.log, sizes)) if self.factors else finite
        self.low, high = min(places), max(places)
        self.span = 1.36 * (high - self.low) or 1.0
        self.low -= 0.18 / 1.36 * self.span

    def __call__(self, number: float) -> float:
        """Return the place of a number."""
        if self.factors:
            number = math.log(number) if number > 0 else -math.inf
        part = min(max((number - self.low) / self.span, 0.0), 1.0)
        return EDGE + part * (WIDTH - 2 * EDGE)


def needle(zones: Sequence[Zone], values: Sequence[float], kind: str, unit: str) -> "Markup":
    """Draw where the values lie between the zones of the verdicts; nothing where a value is no number.

    Args:
        zones: One for each verdict that can come out.
        values: What was measured, one a draw.
        kind: The verdict that came out.
        unit: Of the values.
    """
    middle = statistics.median(values)
    if any(map(math.isnan, values)):
        return _nothing()
    measured = in_words(middle) + (f" {unit}" if len(unit) <= LONGEST else "")
    edges = [edge for zone in zones for edge in (zone.low, zone.high) if math.isfinite(edge)]
    scale = Scale([*edges, *values])
    ordered = sorted(zones, key=lambda zone: (zone.low, zone.high))
    marks = sorted({*edges, *(value for value in values if math.isinf(value))})
    return render(
        "needle.html",
        width=WIDTH,
        label=_seen(ordered, values, kind, scale),
        bands=[(zone.kind, *_ends(scale(zone.low), scale(zone.high))) for zone in ordered],
        marks=_apart([(scale(mark), in_words(mark)) for mark in marks]),
        names=[
            (zone.kind, *named)
            for zone, named in zip(
                ordered,
                _apart(
                    [((scale(each.low) + scale(each.high)) / 2, words()["verdicts"][each.kind]) for each in ordered]
                ),
                strict=True,
            )
        ],
        dots=[f"{scale(value):.1f}" for value in values],
        middle=_apart([(scale(middle), measured)])[0],
        at=f"{scale(middle):.1f}",
    )


def places(zones: Sequence[Zone], values: Sequence[float]) -> dict[str, tuple[int, ...]]:
    """Say where the zones and the middle of the values stand, in hundredths of a scale; nothing where a value is no number.

    Returns:
        From where to where each zone goes, by its first letter, and as "x" the place of the middle.
    """
    if any(map(math.isnan, values)):
        return {}
    edges = [edge for zone in zones for edge in (zone.low, zone.high) if math.isfinite(edge)]
    scale = Scale([*edges, *values])

    def place(number: float) -> int:
        return round(100 * (scale(number) - EDGE) / (WIDTH - 2 * EDGE))

    return {zone.kind[0]: (place(zone.low), place(zone.high)) for zone in zones} | {
        "x": (place(statistics.median(values)),)
    }


def _nothing() -> "Markup":
    from markupsafe import Markup

    return Markup()


def _ends(left: float, right: float) -> tuple[str, str]:
    """Left end and width of a band: a zone of a single number is seen, too."""
    return f"{left - 2 * (right - left < 4):.1f}", f"{max(right - left, 4):.1f}"


def _apart(texts: Sequence[tuple[float, str]]) -> list[tuple[str, str]]:
    """Move the middles of texts, which come from left to right, until none covers another or leaves the picture."""
    halves = [LETTER * len(text) / 2 for _, text in texts]
    places: list[float] = []
    left = 0.0
    for (place, _), half in zip(texts, halves, strict=True):
        places.append(max(place, left + half))
        left = places[-1] + half + LETTER
    right = float(WIDTH)
    for index in reversed(range(len(places))):
        places[index] = min(places[index], right - halves[index])
        right = places[index] - halves[index] - LETTER
    return [(f"{place:.1f}", text) for place, (_, text) in zip(places, texts, strict=True)]


def _seen(zones: Sequence[Zone], values: Sequence[float], kind: str, scale: Scale) -> str:
    """What the picture shows, in words."""
    said = words()["needle"]
    parts = ["; ".join(map(str, zones)).capitalize() + "."]
    parts.append(said["place"].format(middle=in_words(statistics.median(values)), verdict=words()["verdicts"][kind]))
    if len(set(values)) > 1:
        low, high = in_words(min(values)), in_words(max(values))
        parts.append(said["spread"].format(draws=len(values), low=low, high=high))
    if scale.factors:
        parts.append(said["factors"])
    return " ".join(parts)
