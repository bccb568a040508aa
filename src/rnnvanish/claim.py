"""A claim: a sentence that people say, the number that decides it, and the bounds within which it holds.

Written once. A page calls `show()`, a test `check()`, a benchmark `measure()`: they cannot disagree.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from rnnvanish.numerals import in_words
from rnnvanish.records import ledger
from rnnvanish.records.provenance import in_a_sentence, provenance, when_stored
from rnnvanish.templates import render
from rnnvanish.templates.needle import Zone, needle
from rnnvanish.templates.words import words

#: A measurement in a page's notebook, beside its box: what the pages about all claims are made from.
MIME = "application/vnd.rnnvanish.claim+json"


class Verdict(StrEnum):
    """What a measurement says of a sentence."""

    HOLDS = "holds"
    CAVEAT = "holds with a caveat"
    FAILS = "does not hold"
    UNDECIDED = "is undecided"

    @property
    def kind(self) -> str:
        """What templates and colours call it."""
        return self.name.lower()


@dataclass(frozen=True)
class Bounds:
    """Numbers from `low` to `high`, both included."""

    low: float = -math.inf
    high: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.low == -math.inf:
            return f"at most {in_words(self.high)}"
        low = in_words(self.low)
        return f"at least {low}" if self.high == math.inf else f"from {low} to {in_words(self.high)}"


def at_least(low: float) -> Bounds:
    """Everything from `low` up."""
    return Bounds(low=low)


def at_most(high: float) -> Bounds:
    """Everything up to `high`."""
    return Bounds(high=high)


class ClaimBroken(AssertionError):
    """A measured verdict is not the one that the text states."""


@dataclass(frozen=True)
class Control:
    """The same measurement with another ingredient: there a claim must get another verdict.

    One that gets the same verdict says nothing. It may compare a thing with itself, or be met by any outcome.

    Attributes:
        words: Completes "It comes out otherwise ...".
        ingredients: What the sample is given beside the seed.
    """

    words: str
    ingredients: Mapping[str, Any]


def control(words: str, **ingredients: Any) -> Control:
    """Say with what other ingredients a claim must come out otherwise, in words and as arguments of its sample."""
    return Control(words, ingredients)


@dataclass(frozen=True)
class Source:
    """Where a sentence is said: a textbook, an article, a documentation.

    Attributes:
        title: Who, where and when, as a reader would look for it.
        url: The place itself.
    """

    title: str
    url: str


@dataclass(frozen=True)
class Measurement:
    """What a claim's statistic gave, a value a seed; when, where and from which code."""

    draw: ClassVar[str] = "seed"  # what a value is of

    values: tuple[float, ...]
    verdict: Verdict
    seconds: float
    provenance: dict[str, str] = field(default_factory=provenance)
    outdated: bool = False  # the code has changed since
    again: str = ""  # what came of running some of it again since then

    @property
    def median(self) -> float:
        """The value that the verdict hangs on."""
        return statistics.median(self.values)


@dataclass(frozen=True)
class Claim:
    """A sentence with a measured verdict.

    Attributes:
        id: Experiment and name, "vanishing.default_network_forgets".
        section: Its number in the explanation.
        sentence: What people say.
        finding: What the measurement says, in plain words.
        scope: What it was measured of, in a line: network, width, optimiser, rate, steps, task.
        statistic: What is measured, in words; the verdict hangs on its median over the seeds.
        unit: Unit of the statistic.
        sample: Measures it once: seed -> value; what it is measured with are arguments that have defaults.
        bounds: Where the median must lie for each verdict; outside of them all the sentence is undecided.
        stated: The verdict that the text around it states.
        seeds: How many.
        stored: Whether it is too expensive to measure at every build: more than about ten seconds. Then a page shows
            what `rnnvanish claims --update` has stored, with its date.
        detail: What a page draws beside a stored claim: seed -> anything that JSON can hold. Stored with the
            measurement; a function that shares its work with `sample` by a cache costs nothing more.
        control: With what it must come out otherwise.
        source: Where people say so; without one the sentence is asked, and nobody is said to have said it.
        identity: Whether it follows from definitions: measured to show it, and unable to come out otherwise.
        origin: Where its numbers come from, as `provenance` says it, where it reads them from a study and measures nothing.
        first: The first of its seeds: those before it were seen when sentence and bounds were chosen.
    """

    id: str
    section: int
    sentence: str
    finding: str
    scope: str
    statistic: str
    unit: str
    sample: Callable[..., float]
    bounds: dict[Verdict, Bounds]
    stated: Verdict
    seeds: int = 5
    stored: bool = False
    detail: Callable[[int], Any] | None = None
    control: Control | None = None
    source: Source | None = None
    identity: bool = False
    origin: Callable[[], dict[str, str]] | None = None
    first: int = 0

    def measure(self, seeds: int | None = None, first: int | None = None) -> Measurement:
        """Measure the statistic at `seeds` seeds, from `first` on; what reads them from a study has no more than its own."""
        count = self.seeds if seeds is None else seeds if self.origin is None else min(seeds, self.seeds)
        first = self.first if first is None else first
        return self._measured(range(first, first + count))

    def check(self, seeds: int | None = None) -> Measurement:
        """Measure, and raise `ClaimBroken` where the verdict is not the stated one."""
        return self.hold(self.measure(seeds))

    def hold(self, measurement: Measurement) -> Measurement:
        """Return the measurement; raise `ClaimBroken` where its verdict is not the stated one."""
        if measurement.verdict != self.stated:
            raise ClaimBroken(
                f"{self.id}: the text states that it {self.stated}, the measurement that it {measurement.verdict}.\n"
                f"  sentence: {self.sentence}\n"
                f"  measured: {self.statistic}: {_spread(measurement, self.unit)}; {self.thresholds()}\n"
                "  Mend what broke it, or the text: the measurement stands."
            )
        return measurement

    def check_control(self) -> Measurement:
        """Measure the control at one seed; raise `ClaimBroken` where there is none, or its verdict is not another one.

        "Is undecided" is no other verdict. What follows from definitions needs no control, and is measured itself.
        """
        if self.control is None and self.identity:
            return self.check(seeds=1)
        if self.control is None:
            raise ClaimBroken(f"{self.id} has no control: say with what it must come out otherwise.")
        measurement = self.recall("control") if self.stored else self._otherwise(self.control)
        if measurement.verdict in (self.stated, Verdict.UNDECIDED):
            also = ", too" if measurement.verdict == self.stated else ""
            raise ClaimBroken(
                f"{self.id}: it should come out otherwise {self.control.words}, and there it {measurement.verdict}{also}.\n"
                f"  measured there: {self.statistic}: {_spread(measurement, self.unit)}; {self.thresholds()}\n"
                "  Mend the measurement, which may compare a thing with itself, or find a control that can fail."
            )
        return measurement

    def keep(self, measurement: Measurement) -> None:
        """Store a measurement."""
        record = {
            "values": [ledger.number(value) for value in measurement.values],
            "seconds": round(measurement.seconds, 1),
            "digest": ledger.digest(self.sample.__module__),
            "provenance": measurement.provenance,
        }
        if self.control is not None:
            record["control"] = [ledger.number(value) for value in self._otherwise(self.control).values]
        if self.detail is not None:
            seeds = range(self.first, self.first + len(measurement.values))
            record["details"] = [ledger.plain(self.detail(seed)) for seed in seeds]
        ledger.write(self.id, record)

    def recall(self, part: str = "values") -> Measurement:
        """Return the stored measurement, or that of its "control", held against the bounds of today.

        Raises:
            NotStored: There is none.
        """
        record = ledger.read(self.id)
        values = tuple(map(float, record[part]))
        outdated = record["digest"] != ledger.digest(self.sample.__module__)
        verdict = self._judge(statistics.median(values))
        return Measurement(values, verdict, record["seconds"], record["provenance"], outdated)

    def details(self) -> list[Any]:
        """Return the details that were stored with the measurement, one a seed; infinity is the word "inf".

        Raises:
            NotStored: There are none.
        """
        details: list[Any] = ledger.read(self.id)["details"]
        return details

    def show(self) -> None:
        """Measure (or recall, where it is stored), check, and show sentence, verdict and number on a page.

        A plain call, not a `_repr_html_`: IPython swallows what is raised there, and a broken claim would be published.
        """
        from IPython.display import display

        measurement = self.hold(self.recall() if self.stored else self.measure())
        display({"text/html": self.to_html(measurement), MIME: self.to_json(measurement)}, raw=True)

    def thresholds(self) -> str:
        """The bounds, in words."""
        return "; ".join(f"{verdict}: {bounds}" for verdict, bounds in self.bounds.items())

    def to_html(self, measurement: Measurement) -> str:
        """Draw the box of the verdict."""
        said = words()["box"]
        facts = {
            said["measured"]: self.statistic,
            said["result"]: _spread(measurement, self.unit),
            said["thresholds"]: self.thresholds(),
            **self.evidence(measurement),
        }
        outside = measurement.verdict != Verdict.HOLDS  # what to say instead
        if not outside:
            facts = {said["found"]: self.found(measurement), **facts}
        if self.control is not None:
            facts[said["control"]] = said["otherwise"].format(words=self.control.words)
        if self.stored:
            facts[said["stored"]] = when_stored(
                measurement.provenance, measurement.seconds, measurement.outdated, measurement.again
            )
        if self.origin is not None:
            facts[said["trained"]] = said["study"].format(made=in_a_sentence(measurement.provenance))
        facts[said["reproduce"]] = f"`rnnvanish claims --only {self.id}`"
        zones = [Zone(verdict.kind, where.low, where.high) for verdict, where in self.bounds.items()]
        kind = measurement.verdict.kind
        return str(
            render(
                "claim.html",
                id=self.id,
                kind=kind,
                sentence=self.sentence,
                source=self.source,
                scope=self.scope,
                verdict=words()["verdicts"][kind].capitalize(),
                agreement=self.agreement(measurement),
                needle=needle(zones, measurement.values, kind, self.unit),
                outside=outside,
                finding=self.found(measurement),
                facts=facts,
            )
        )

    def to_json(self, measurement: Measurement) -> dict[str, Any]:
        """Everything there is to know of one measurement of this claim."""
        return {
            "id": self.id,
            "section": self.section,
            "sentence": self.sentence,
            "finding": self.found(measurement),
            "scope": self.scope,
            "source": asdict(self.source) if self.source is not None else None,
            "identity": self.identity,
            "verdict": str(measurement.verdict),
            "agreement": self.agreement(measurement),
            "stated": str(self.stated),
            "measured": self.statistic,
            "statistic": ledger.number(measurement.median),
            "values": [ledger.number(value) for value in measurement.values],
            "unit": self.unit,
            "result": _spread(measurement, self.unit),
            "thresholds": self.thresholds(),
            "bounds": {each.kind: [*map(ledger.number, (at.low, at.high))] for each, at in self.bounds.items()},
            "control": self.control.words if self.control is not None else None,
            "seeds": len(measurement.values),
            "seconds": round(measurement.seconds, 3),
            "provenance": measurement.provenance,
            "stored": self.stored,
            "outdated": measurement.outdated,
            "again": measurement.again,
        }

    def found(self, measurement: Measurement) -> str:
        """What the measurement says, in plain words."""
        return self.finding

    def evidence(self, measurement: Measurement) -> dict[str, str]:
        """What else its box shows, by what it is called."""
        return {}

    def agreement(self, measurement: Measurement) -> str:
        """Say in words how many of several draws alone would get the same verdict; of an identity, that it is one."""
        said = words()["box"]
        if self.identity:
            return str(said["identity"])
        if len(measurement.values) == 1:
            return ""
        agree = sum(self._judge(value) == measurement.verdict for value in measurement.values)
        return str(said["agree"].format(agree=agree, draws=len(measurement.values)))

    def _otherwise(self, control: Control) -> Measurement:
        return self._measured(range(self.first, self.first + 1), **control.ingredients)

    def _measured(self, seeds: range, **ingredients: Any) -> Measurement:
        start = time.perf_counter()
        values = tuple(float(self.sample(seed, **ingredients)) for seed in seeds)
        seconds = time.perf_counter() - start
        made = provenance() if self.origin is None else self.origin()
        return Measurement(values, self._judge(statistics.median(values)), seconds, made)

    def _judge(self, value: float) -> Verdict:
        return next((verdict for verdict, bounds in self.bounds.items() if value in bounds), Verdict.UNDECIDED)


def claim(
    *,
    section: int,
    sentence: str,
    finding: str,
    scope: str,
    statistic: str,
    unit: str,
    stated: Verdict,
    holds: Bounds | None = None,
    caveat: Bounds | None = None,
    fails: Bounds | None = None,
    seeds: int = 5,
    stored: bool = False,
    detail: Callable[[int], Any] | None = None,
    control: Control | None = None,
    source: Source | None = None,
    identity: bool = False,
    origin: Callable[[], dict[str, str]] | None = None,
    first: int = 0,
) -> Callable[[Callable[..., float]], Claim]:
    """Turn a function, seed -> value, into a `Claim` named after it and its module."""
    if not scope.strip():
        raise ValueError("A claim needs a scope: network, width, sequences, and where it is trained how, in a line.")
    given = {Verdict.HOLDS: holds, Verdict.CAVEAT: caveat, Verdict.FAILS: fails}
    bounds = {verdict: where for verdict, where in given.items() if where is not None}
    if stated not in bounds:
        raise ValueError(f"A claim needs bounds for the verdict that it states, {stated.value!r}, got {bounds}.")

    def decorate(sample: Callable[..., float]) -> Claim:
        name = f"{sample.__module__.rpartition('.')[2]}.{sample.__name__}"
        said = (name, section, sentence, finding, scope, statistic, unit)
        return Claim(*said, sample, bounds, stated, seeds, stored, detail, control, source, identity, origin, first)

    return decorate


def _spread(measurement: Measurement, unit: str) -> str:
    """Median with its unit, and the range over seeds where there is one."""
    low, high, count = min(measurement.values), max(measurement.values), len(measurement.values)
    spread = f"{in_words(low)} to {in_words(high)} over " if high > low else ""
    return f"{in_words(measurement.median)} {unit} ({spread}{count} {measurement.draw}{'s' if count != 1 else ''})"
