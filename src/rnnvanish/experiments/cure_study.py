"""What the study `cures` found: with each cure and without, how far back a network learns, and how it does on real data."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rnnvanish.names import written
from rnnvanish.studies import Results, results
from rnnvanish.studies.trial import Trial

#: The networks of the study, by what the page calls them.
CELLS: Mapping[str, str] = {
    "tanh": "Elman",
    "ReLU": "Elman(nonlinearity='relu')",
    "LSTM": "LSTM",
    "GRU": "GRU",
}
REMEMBERED, REAL = "recall", "digits"
#: Seeds that have to solve a task at one rate for it to be learnt.
ENOUGH = 2


@dataclass(frozen=True)
class Trained:
    """What became of networks of one kind, with one cure or with none.

    Attributes:
        learnt: By the lag, whether it was learnt: by two of three seeds at least, at one rate; None where that hangs on
            results that are missing.
        scores: On the real data, a score a seed at the rate whose middle score is best; empty where results are missing.
        parameters: Of the network that remembers; None without results.
        missing: How many trials have no result yet.
        refused: Why there is none of these networks; empty where there is.
    """

    learnt: Mapping[int, bool | None]
    scores: tuple[float, ...] = ()
    parameters: int | None = None
    missing: int = 0
    refused: str = ""

    @property
    def longest(self) -> int | None:
        """The longest lag that was learnt, 0 where none was; None where results are missing that could change it."""
        known = max((lag for lag, solved in self.learnt.items() if solved), default=0)
        open_ = [lag for lag, solved in self.learnt.items() if solved is None and lag > known]
        return None if open_ or not self.learnt else known

    @property
    def score(self) -> float | None:
        """The middle score on the real data; None where results are missing."""
        return statistics.median(self.scores) if self.scores else None


@cache
def study() -> Results:
    """The results of the study, read once.

    Raises:
        ValueError: Where there are none: says how to make them.
    """
    return results("cures")


@cache
def cure_of(mitigations: str) -> str:
    """The name of the cure of a trial; empty for a network as it is drawn."""
    return "+".join(each.name for each in written(mitigations.replace("{lag}", "0")))


def trained(network: str, cure: str = "", found: Results | None = None) -> Trained:
    """Say what became of a network with a cure.

    Args:
        network: One of `CELLS`.
        cure: Its name; empty for the network as it is drawn.
        found: The results; None for those that come with the package.
    """
    found, cell = found or study(), CELLS[network]

    def ours(trial: Trial) -> bool:
        return trial.cell == cell and cure_of(trial.mitigations) == cure

    rows = [row for row in found.rows if row["cell"] == cell and cure_of(row["mitigations"]) == cure]
    missing = [trial for trial in found.missing if ours(trial)]
    refused = next((why for trial, why in found.refused.items() if ours(trial)), "")
    lags = sorted(
        {lag for lag in (*(row["lag"] for row in rows), *(trial.lag for trial in missing)) if lag is not None}
    )
    learnt = {lag: _learnt(rows, missing, lag) for lag in lags}
    real = not any(trial.task == REAL for trial in missing)
    remembered = next((row["parameters"] for row in rows if row["task"] == REMEMBERED), None)
    return Trained(learnt, _scores(rows) if real else (), remembered, len(missing), "" if rows else refused)


def _learnt(rows: list[dict[str, Any]], missing: Iterable[Trial], lag: int) -> bool | None:
    """Whether enough seeds learnt it, each at the rate at which most did."""
    solved: dict[float, int] = {}
    for row in rows:
        if row["lag"] == lag and row["task"] == REMEMBERED:
            solved[row["lr"]] = solved.get(row["lr"], 0) + (row["solved"] is not None)
    if max(solved.values(), default=0) >= ENOUGH:
        return True
    return None if any(trial.lag == lag and trial.task == REMEMBERED for trial in missing) else False


def _scores(rows: list[dict[str, Any]]) -> tuple[float, ...]:
    """The scores of each seed at the best rate; those of a network that diverged are 0."""
    rates: dict[float, list[float]] = {}
    for row in rows:
        if row["task"] == REAL:
            rates.setdefault(row["lr"], []).append(0.0 if row["diverged"] is not None else row["score"])
    return tuple(max(rates.values(), key=statistics.median, default=[]))


def difference(before: Trained, after: Trained) -> str | None:
    """What a cure does to the score on real data: "helps", "hurts", "no difference"; None where results are missing.

    It makes a difference where the middle scores lie further apart than all seeds of both sides together spread.
    """
    if before.score is None or after.score is None:
        return None
    spread = sum(max(each.scores) - min(each.scores) for each in (before, after))
    if abs(after.score - before.score) <= spread:
        return "no difference"
    return "helps" if after.score > before.score else "hurts"
