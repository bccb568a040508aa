"""How far a sweep is: what is done, what failed, the best so far, and how long the rest will take."""

import time
from dataclasses import dataclass, field
from typing import Any

from rnnvanish.studies.trial import Trial


@dataclass
class Progress:
    """Counts of a sweep, in bounded memory.

    Attributes:
        total: Trials of the study, without those that were refused.
        refused: Trials that cannot be, and why.
        done: Trials with a result.
        failed: Trials that failed.
        solved: Of the results those that solved their task.
        diverged: Of the results those whose loss was no number in the end.
        running: Trials in progress in this sweep.
        here: Trials that ended in this sweep.
        best: Of each task the trial that solved the longest lag, and of these the one in the fewest steps.
        errors: The first errors, and the trials that had them.
        stopped: Whether somebody asked it to stop.
    """

    total: int
    refused: dict[Trial, str] = field(default_factory=dict)
    done: int = 0
    failed: int = 0
    solved: int = 0
    diverged: int = 0
    running: int = 0
    here: int = 0
    best: dict[str, tuple[int, int, Trial]] = field(default_factory=dict)
    errors: dict[Trial, str] = field(default_factory=dict)
    stopped: bool = False
    began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Count the time from now on."""
        self.began = time.monotonic()

    def count(self, trial: Trial, content: dict[str, Any], here: bool = False) -> None:
        """Count a trial that has ended, in this sweep or before."""
        self.here += here
        if "result" not in content:
            self.failed += 1
            if len(self.errors) < 5:
                self.errors[trial] = content.get("failed", {}).get("error", "its file is damaged")
            return
        self.done += 1
        result = content["result"]
        self.diverged += result["diverged"] is not None
        if result["solved"] is not None:
            self.solved += 1
            rank = trial.lag or 0, -result["solved"]
            best = self.best.get(trial.task)
            if best is None or rank > best[:2]:
                self.best[trial.task] = (*rank, trial)

    @property
    def left(self) -> int:
        """Trials that have not ended."""
        return self.total - self.done - self.failed

    @property
    def seconds_left(self) -> float | None:
        """Time until the end at the pace of this sweep so far; None before a trial has ended."""
        return (time.monotonic() - self.began) / self.here * self.left if self.here else None
