"""Stored results run again: a few of them, drawn at random, with the code of today.

Do they give the same numbers?
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rnnvanish.console import to_json
from rnnvanish.records.provenance import provenance
from rnnvanish.studies.run import Attempt, attempt
from rnnvanish.studies.store import code_of, from_json
from rnnvanish.studies.trial import Trial, thin

#: Seconds; trials that took longer are not drawn.
LONGEST = 60.0


@dataclass(frozen=True)
class Verification:
    """What came of running stored trials again.

    Attributes:
        trials: Their keys, and the code that each was run again with, as `code_of` has it.
        differing: Of those that gave other numbers, by key: what differs, in words.
        left_out: How many were not drawn from, since they take too long.
        date: When.
        commit: With which code; "unknown" where it was installed from an archive.
    """

    trials: dict[str, str]
    differing: dict[str, str]
    left_out: int
    date: str
    commit: str

    def __str__(self) -> str:
        count = len(self.trials)
        long = f" ({self.left_out} that take over a minute were not drawn from)" if self.left_out else ""
        return (
            f"{count - len(self.differing)} of {count} trials, drawn at random{long} and run again on {self.date} at commit "
            f"{self.commit}, gave the same numbers."
        )

    def is_of_today(self, trials: Iterable[Trial]) -> bool:
        """Whether the code is still that with which these were run again; of those of a study it takes its own."""
        codes = {trial.key: code_of(trial) for trial in trials if trial.key in self.trials}
        return codes == self.trials


def verify(
    records: Mapping[Trial, Mapping[str, Any]],
    count: int,
    function: Attempt = attempt,
    report: Callable[[Trial, str], None] = lambda trial, differs: None,
) -> Verification:
    """Run some trials again, and hold the numbers against those that are stored: exactly, loss curve and outcome.

    Args:
        records: What is stored of each trial.
        count: How many; all that there are, if there are fewer.
        function: Runs a trial.
        report: Is called with each trial, and what differs; nothing where all is the same.

    Raises:
        ValueError: For a count below 1; where no trial is short enough.
    """
    if count < 1:
        raise ValueError(f"--verify needs a number of trials >= 1, got {count}.")
    short = [trial for trial, content in records.items() if content["cost"]["seconds"] <= LONGEST]
    if not short:
        raise ValueError(
            f"--verify needs stored trials that take {LONGEST:g} seconds at most: of {len(records)} none does."
        )
    drawn = random.SystemRandom().sample(short, min(count, len(short)))
    differing = {}
    for trial in drawn:
        differs = difference(records[trial]["result"], from_json(to_json(function(trial))))
        if differs:
            differing[trial.key] = differs
        report(trial, differs)
    here = provenance()
    codes = {trial.key: code_of(trial) for trial in drawn}
    return Verification(codes, differing, len(records) - len(short), here["date"], here.get("commit", "unknown"))


def difference(stored: Mapping[str, Any], today: Mapping[str, Any]) -> str:
    """Say in which number a result differs from that of today; nothing where all are the same.

    Of a curve so many points are compared as are stored.
    """
    if "failed" in today:
        return f"today it fails: {today['failed']['error']}"
    result = dict(today["result"])
    result["curve"] = {
        name: thin(result["curve"].get(name, []), len(values)) for name, values in stored["curve"].items() if values
    }
    before = dict(stored) | {"curve": {name: values for name, values in stored["curve"].items() if values}}
    return ", ".join(
        f"{name}: {before[name]} stored, {result.get(name)} today"
        for name in before
        if before[name] != result.get(name)
    )
