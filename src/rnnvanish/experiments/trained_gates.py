"""Section 18, gates after training: read from the first study, how long a gradient lasts that learnt a short or a long memory."""

import math
import statistics
from functools import cache

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments.scopes import trained
from rnnvanish.studies import Results, results

TASK, START, SHORT = "recall", "OpenGate", 10


@cache
def study() -> Results:
    """The results of the first study, read once."""
    return results("first")


def half_lives(seed: int, cell: str = "GRU", found: Results | None = None) -> dict[int, float]:
    """Return the half-life of the gradient after training, by the lag that was learnt: the middle of the rates that learnt it.

    Args:
        seed: Of weights and sequences.
        cell: "GRU" or "LSTM", with gates opened by 1: a start that is told nothing of the lag.
        found: The results; None for those that come with the package.
    """
    by_lag: dict[int, list[float]] = {}
    for row in (found or study()).where(task=TASK, cell=cell, mitigations=START, seed=seed):
        if row["solved"] is not None and row["half_life_after"] is not None:
            by_lag.setdefault(row["lag"], []).append(row["half_life_after"])
    return {lag: statistics.median(values) for lag, values in sorted(by_lag.items())}


@claim(
    section=18,
    sentence="Training sets the gates to the time that the task needs.",
    finding="That of a GRU does. Where it learnt to remember 80 steps, its gradient lasted many times as long as where it learnt 10. "
    "An LSTM finds another way: it learns 20 steps with a gradient as short as before.",
    scope=trained("nn.GRU with gates opened by 1", 32, "a bit 10 to 80 steps back", 600, (1e-3, 3e-3, 1e-2, 3e-2)),
    statistic="half-life of the gradient after training at the longest lag that was learnt, as a multiple of that at 10 steps",
    unit="times",
    stated=Verdict.HOLDS,
    holds=at_least(4),
    fails=at_most(1.75),
    seeds=3,
    control=control("for an LSTM", cell="LSTM"),
    origin=lambda: study().origin,
)
def training_sets_gates(seed: int, cell: str = "GRU") -> float:
    """Compare the longest with the shortest."""
    known = half_lives(seed, cell)
    return known[max(known)] / known[SHORT] if SHORT in known else math.nan
