"""What a report says, whatever it is shown on: an answer, sections, rows of words, and curves."""

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
        question: Whether it is asked: it may be right as it is.
    """

    title: str
    rows: Sequence[Row]
    question: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer and direction, or several that are alike.

    Attributes:
        name: Its name, or that of all of them: "lstm/layer0..3/forward".
        curve: What is drawn; of several that of the worst.
        rows: What is said first.
        more: What is said besides.
        alike: All that it stands for, one by one; empty where it stands for itself.
    """

    name: str
    curve: Curve
    rows: Sequence[Row]
    more: Sequence[Row] = ()
    alike: Sequence["Layer"] = ()


@dataclass(frozen=True, eq=False)
class Contents:
    """A report: all that was measured, or as much as one screen holds.

    Attributes:
        title: What it is about.
        answer: In one sentence: what is wrong, where, and what to do first.
        findings: Faults that have a name, and questions.
        layers: Layers and directions.
        lines: What is said in a line each, instead.
        outlook: Whether it can learn across the lag that was asked for; None where none was.
        unfit: Cures that could not be tried, and why; empty in a short report.
        origin: Where its numbers come from; in a short report, where all of them are.
        made: Which rnnvanish measured it: version and commit.
    """

    title: str
    answer: str
    findings: Sequence[Section]
    layers: Sequence[Layer]
    outlook: Section | None
    unfit: Mapping[str, str]
    origin: str
    made: str
    lines: Sequence[str] = ()
