"""Which commit made a number worse, and by how much.

asv's own detection fits steps to a whole curve; with a dozen points it missed a planted slowdown of a quarter because
of one high point. The rule here is two lines: worse than the median of the last few, and still so at the next commit.
"""

import statistics
from dataclasses import dataclass

from .results import Commit, Series

#: How much larger a number may be before it counts as worse. What the same commit gives twice differs by less:
#: `make bench-noise` measures how often it does not.
RATIO, EXACT = 1.15, 1.02
#: Numbers that are the same in every run of the same code on the same machine.
EXACTLY = {"decades", "nats per step", "MB", "kB", "steps to learn"}
#: Ratios of CPU times that were taken in turns; and claims, some of which are of such ratios.
NOISY = {
    "x torch.nn",
    "x frozen loop",
    "x import torch",
    "x plain loop",
    "x training step",
    "x unwatched training",
    "x its trials",
    "of the way to its threshold",
}
#: Absolute times say more of the machine than of the code, and of a claim's statistic less may be worse: never judged.
NEVER = {
    "seconds",
    "milliseconds",
    "bytes",
    "microseconds per step",
    "microseconds per trial",
    "in the unit of its claim",
}
BEFORE = 5


@dataclass(frozen=True)
class Regression:
    """A number that became worse at a commit."""

    series: Series
    commit: Commit
    before: float
    after: float
    good: Commit  # the last one before at which it was measured
    mended: Commit | None  # the first commit at which it was as good again

    @property
    def where(self) -> str:
        """The commit; where others before it were not measured, it may be one of those."""
        sure = self.commit.place - self.good.place <= 1
        return self.commit.short if sure else f"{self.commit.short} (or one since {self.good.short})"

    @property
    def factor(self) -> float:
        return self.after / self.before

    def __str__(self) -> str:
        return f"{self.series} at {self.where}: {self.factor:.2f} times what it was ({self.before:g} -> {self.after:g})"


def limit(unit: str) -> float | None:
    """How much larger a number in `unit` may become before it counts as worse; None where it is never judged."""
    return None if unit in NEVER else EXACT if unit in EXACTLY else RATIO


def regressions(series: Series, unit: str) -> list[Regression]:
    """Find the commits at which a series became worse, the oldest first.

    A number that noise can move must still be worse at the next commit; the newest is not judged for that reason.
    """
    allowed = limit(unit)
    points = series.measured
    found: list[Regression] = []
    if allowed is None:
        return found
    since = 0  # what came before a change is no measure for what comes after
    for place in range(1, len(points)):
        values = [float(point.value or 0) for point in points]
        before = statistics.median(values[max(since, place - BEFORE) : place])
        last = place + 1 == len(points)
        after = values[place : place + (1 if allowed == EXACT or last else 2)]
        if min(after) > before * allowed and (allowed == EXACT or not last):
            good = (point.commit for point in points[place + 1 :] if (point.value or 0) <= before * allowed)
            found.append(
                Regression(
                    series, points[place].commit, before, values[place], points[place - 1].commit, next(good, None)
                )
            )
            since = place
        elif max(after) < before / allowed:
            since = place
    return found
