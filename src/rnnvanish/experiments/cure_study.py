"""What the study `cures` found: with each cure and without, how far back a network learns, and how it does on real data."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
#: Cures that are not in the study, and why.
LEFT_OUT: Mapping[str, str] = {
    "WarmState": "It was not tried: it needs a task that is asked at every step, and these are asked at the end.",
}
#: The seed that is trained at every rate; the others where it learnt, or at its best rate.
FIRST = 0


@dataclass(frozen=True)
class Trained:
    """What became of networks of one kind, with one cure or with none.

    Attributes:
        learnt: By the lag, whether it was learnt: by the first of three seeds, and by one more at the same rate; None where
            that hangs on results that are missing.
        scores: On the real data, a score a seed at the rate at which the first seed's is best; empty where there are none,
            or some are missing.
        parameters: Of the network that remembers; None without results.
        missing: How many trials without a result could change this, by the task.
        refused: Why there is none of these networks; empty where there is.
    """

    learnt: Mapping[int, bool | None]
    scores: tuple[float, ...] = ()
    parameters: int | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    refused: str = ""

    @property
    def score(self) -> float | None:
        """The middle score on the real data; None where there is none."""
        return statistics.median(self.scores) if self.scores else None

    def longest(self, lags: Iterable[int] | None = None) -> int | None:
        """The longest lag that was learnt, 0 where none was; None where results are missing that could change it.

        Args:
            lags: Those that count; None for all.
        """
        counted = {lag: self.learnt[lag] for lag in (self.learnt if lags is None else lags)}
        known = max((lag for lag, solved in counted.items() if solved), default=0)
        hanging = any(solved is None and lag > known for lag, solved in counted.items())
        return None if hanging or not counted else known


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
    found = found or study()
    rows, missing = _rows(found, network, cure), _missing(found, network, cure)
    kind = CELLS[network], cure
    refused = (why for trial, why in found.refused.items() if (trial.cell, cure_of(trial.mitigations)) == kind)
    lags = sorted(
        {lag for lag in (*(row["lag"] for row in rows), *(trial.lag for trial in missing)) if lag is not None}
    )
    learnt = {lag: _learnt(rows, missing, lag) for lag in lags}
    hanging = sum(learnt[trial.lag] is None for trial in missing if trial.lag is not None)
    scores, left = _scores(rows, missing)
    remembered = next((row["parameters"] for row in rows if row["task"] == REMEMBERED), None)
    counts = {task: count for task, count in {REMEMBERED: hanging, REAL: left}.items() if count}
    return Trained(learnt, () if left else scores, remembered, counts, "" if lags else next(refused, ""))


def _learnt(rows: list[dict[str, Any]], missing: list[Trial], lag: int) -> bool | None:
    """Whether the first seed learnt it, and one more at the same rate."""
    rates: dict[float, dict[int, bool | None]] = {}
    for trial in missing:
        if trial.lag == lag:
            rates.setdefault(trial.lr, {})[trial.seed] = None
    for row in rows:
        if row["lag"] == lag:
            rates.setdefault(row["lr"], {})[row["seed"]] = row["solved"] is not None
    hanging = False
    for seeds in rates.values():
        first, others = seeds.get(FIRST), [solved for seed, solved in seeds.items() if seed != FIRST]
        if first and any(others):
            return True
        hanging |= first is None or (first and None in others)
    return None if hanging else False


def _scores(rows: list[dict[str, Any]], missing: list[Trial]) -> tuple[tuple[float, ...], int]:
    """The scores of each seed at the rate at which the first is best; and how many results are missing for that."""
    real = [row for row in rows if row["task"] == REAL]
    open_ = [trial for trial in missing if trial.task == REAL]
    first = {row["lr"]: _score(row) for row in real if row["seed"] == FIRST}
    if any(trial.seed == FIRST for trial in open_) or not first:
        return (), len(open_)
    best = max(first, key=lambda lr: first[lr])
    scores = tuple(_score(row) for row in real if row["lr"] == best)
    return scores, sum(trial.lr == best for trial in open_)


def score_effect(before: Trained, after: Trained) -> str | None:
    """What a cure does to the score on real data: "helps", "hurts", "no difference"; None without results.

    It makes a difference where the middle scores lie further apart than all seeds of both sides together spread.
    """
    if before.score is None or after.score is None:
        return None
    spread = sum(max(each.scores) - min(each.scores) for each in (before, after))
    if abs(after.score - before.score) <= spread:
        return "no difference"
    return "helps" if after.score > before.score else "hurts"


def reaches(before: Trained, after: Trained) -> tuple[int | None, int | None]:
    """The longest lags that were learnt without a cure and with it, of those that were tried both ways."""
    lags = before.learnt.keys() & after.learnt.keys()
    return before.longest(lags), after.longest(lags)


def reach_effect(before: Trained, after: Trained) -> str | None:
    """What a cure does to the longest lag that is learnt: "helps", "hurts", "no difference"; None without results."""
    without, treated = reaches(before, after)
    if without is None or treated is None:
        return None
    return "no difference" if without == treated else "helps" if treated > without else "hurts"


def compared(cure: str, found: Results | None = None) -> dict[str, tuple[Trained, Trained]]:
    """What became of each network without a cure and with it; of the two plain ones the first that it takes."""
    results = {network: trained(network, cure, found) for network in CELLS}
    taken = [network for network, each in results.items() if each.learnt]
    return {
        network: (trained(network, "", found), results[network])
        for network in taken
        if network != "ReLU" or "tanh" not in taken
    }


def longest_of(seed: int, network: str, cure: str = "", found: Results | None = None) -> float:
    """The longest lag that one seed learnt, at whichever rate; 0 where it learnt none, nan where results are missing."""
    found, tried = found or study(), dict[int, bool]()
    for row in _rows(found, network, cure):
        if row["seed"] == seed and row["task"] == REMEMBERED:
            tried[row["lag"]] = tried.get(row["lag"], False) or row["solved"] is not None
    missing = [each for each in _missing(found, network, cure) if each.seed == seed and each.task == REMEMBERED]
    return math.nan if missing or not tried else float(max(lag * solved for lag, solved in tried.items()))


def lengthened(seed: int, network: str, cure: str = "", found: Results | None = None) -> float:
    """How many times as long the half-life was after training as before: the middle of all trials of a seed that remember.

    Whether they learnt it or not; nan where there are none.
    """
    rows = [row for row in _rows(found or study(), network, cure) if row["seed"] == seed and row["task"] == REMEMBERED]
    changes = [
        row["half_life_after"] / row["half_life_before"]
        for row in rows
        if row["half_life_before"] and row["half_life_after"] is not None
    ]
    return statistics.median(changes) if changes else math.nan


def score_of(seed: int, network: str, cure: str = "", found: Results | None = None) -> float:
    """The score of one seed on real data, at the rate at which the first is best; nan where results are missing."""
    scores = trained(network, cure, found).scores
    return scores[seed] if scores else math.nan


def origin() -> dict[str, str]:
    """When, where and with what the results were made."""
    return study().origin


def _rows(found: Results, network: str, cure: str) -> list[dict[str, Any]]:
    cell = CELLS[network]
    return [row for row in found.rows if row["cell"] == cell and cure_of(row["mitigations"]) == cure]


def _missing(found: Results, network: str, cure: str) -> list[Trial]:
    cell = CELLS[network]
    return [trial for trial in found.missing if trial.cell == cell and cure_of(trial.mitigations) == cure]


def _score(row: dict[str, Any]) -> float:
    """The score of a trial; one that diverged has 0."""
    return 0.0 if row["diverged"] is not None else float(row["score"])
