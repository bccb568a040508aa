"""What a report says, whatever it is shown on: titles, rows of words, and curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnvanish.measure import Row
from rnnvanish.probes.curve import Curve


@dataclass(frozen=True)
class Section:
    """Something that is said under a title of its own.

    Attributes:
        title: What it is about.
        rows: What is said.
    """

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer and direction.

    Attributes:
        name: Its name.
        curve: What is drawn.
        rows: What is said.
    """

    name: str
    curve: Curve
    rows: Sequence[Row]


@dataclass(frozen=True, eq=False)
class Contents:
    """A whole report.

    Attributes:
        title: What it is about.
        findings: Faults that have a name.
        layers: Every layer and direction.
        outlook: Whether it can learn across the lag that was asked for; None where none was.
        unfit: Cures that could not be tried, and why; empty in a short report.
        origin: Where its numbers come from.
    """

    title: str
    findings: Sequence[Section]
    layers: Sequence[Layer]
    outlook: Section | None
    unfit: Mapping[str, str]
    origin: str
