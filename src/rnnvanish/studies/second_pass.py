"""The second pass of a study: each network at its own best rate, with seeds by which that rate was not chosen."""

import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rnnvanish.studies.study import Study
from rnnvanish.studies.trial import Trial

#: What came of a trial, as `trial.run` returns it under "result".
Result = Mapping[str, Any]


@dataclass
class _Choice:
    """A network and what it was trained with, all but rate and seed; it waits for the results of its first pass."""

    waits_for: set[Trial] = field(default_factory=set)
    found: dict[float, list[Result]] = field(default_factory=dict)
    final_seeds: list[int] = field(default_factory=list)


class SecondPass:
    """Says which trials follow from results.

    In a study with `final_seeds` each network is first trained at every rate of `lrs` with each of `seeds`; then, at its
    own best rate alone, with each of `final_seeds`. What differs in any field but rate and seed is another network.

    Args:
        study: The study.

    Raises:
        ValueError: Where a final seed of a network is one of those that its rate is chosen with.
    """

    def __init__(self, study: Study) -> None:
        self._open: dict[Trial, _Choice] = {}
        for grid in study.each_grid():
            for trial in grid.trials() if grid.final_seeds else []:
                choice = self._open.setdefault(_without_rate(trial), _Choice())
                choice.waits_for.add(trial)
                choice.found.setdefault(trial.lr, [])
                choice.final_seeds = list(dict.fromkeys([*choice.final_seeds, *grid.final_seeds]))
        for choice in self._open.values():
            if both := {trial.seed for trial in choice.waits_for}.intersection(choice.final_seeds):
                raise ValueError(f"{study.name} needs final_seeds that are none of its seeds, got {min(both)} in both.")

    def add(self, trial: Trial, result: Result) -> list[Trial]:
        """Take a result; returns the trials that follow now: those of its network, where it was the last of them."""
        network = _without_rate(trial)
        choice = self._open.get(network)
        if choice is None or trial not in choice.waits_for:
            return []
        choice.waits_for.remove(trial)
        choice.found[trial.lr].append(result)
        if choice.waits_for:
            return []
        del self._open[network]
        lr = best_rate(choice.found, trial.steps)
        return [replace(network, lr=lr, seed=seed) for seed in choice.final_seeds]

    def leave_out(self, trials: Collection[Trial]) -> None:
        """Await nothing of the networks of these trials: they cannot be."""
        for trial in trials:
            self._open.pop(_without_rate(trial), None)

    @property
    def to_come(self) -> list[Trial]:
        """The trials of networks whose best rate is not known yet, each at the first of its rates."""
        return [
            replace(network, lr=next(iter(choice.found)), seed=seed)
            for network, choice in self._open.items()
            for seed in choice.final_seeds
        ]


def best_rate(found: Mapping[float, list[Result]], budget: int) -> float:
    """The rate at which most seeds solved; of equal ones that which took the fewest steps, then that with the lowest loss.

    Steps are the median over seeds, where one that was not solved counts with its whole budget; the loss is the median of
    the last ones, infinite where it was no number. Of rates that are equal in all three it is the first.

    Examples:
        >>> slow, fast, never = ({"solved": steps, "diverged": None, "loss": 0.1} for steps in (90, 20, None))
        >>> best_rate({0.1: [slow, slow], 0.3: [fast, slow], 1.0: [fast, never]}, budget=100)
        0.3
    """

    def rank(lr: float) -> tuple[float, float, float]:
        solved = [result["solved"] for result in found[lr]]
        steps = [budget if step is None else step for step in solved]
        losses = [math.inf if result["diverged"] is not None else result["loss"] for result in found[lr]]
        share = sum(step is not None for step in solved) / len(solved)
        return -share, statistics.median(steps), statistics.median(losses)

    return min(found, key=rank)


def _without_rate(trial: Trial) -> Trial:
    return replace(trial, lr=1.0, seed=0)
