"""What the study `claims` found: networks that learn, each at its own best rate, with seeds that had no part in the choice."""

import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rnnvanish.records.provenance import provenance
from rnnvanish.studies import Results, results
from rnnvanish.studies.reader import COMMITTED
from rnnvanish.studies.study import Study, read

NAME = "claims"
#: Final seeds that were seen before sentences, bounds and controls of the claims were fixed; the others decide.
SEEN = (2, 3, 4)
#: What an answer may cost, as a multiple of what remembering nothing costs, for a training to count as alive.
ALIVE = 1.5


@dataclass(frozen=True)
class Network:
    """One side of a comparison, as the study names it.

    Attributes:
        words: What a reader calls it.
        cell: Its cell, with options.
        mitigations: What is done to it; {stretch} stands for a number of the grid.
        clip: As a trial has it: None for the norm 1, 0 for no clipping.
    """

    words: str
    cell: str = "Elman"
    mitigations: str = ""
    clip: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a network at one point of a grid.

    Attributes:
        rows: What came of each fresh seed, as `Results.rows` has it.
        seeds: How many fresh seeds there are to be.
    """

    rows: tuple[Mapping[str, Any], ...]
    seeds: int

    @property
    def missing(self) -> int:
        """How many fresh seeds have no result yet."""
        return self.seeds - len(self.rows)

    @property
    def steps(self) -> tuple[float, ...]:
        """Of each seed the steps until it had learnt; infinite where it had not."""
        return tuple(math.inf if row["solved"] is None else row["solved"] for row in self.rows)

    @property
    def share(self) -> float:
        """Share of the seeds that learn within the budget."""
        return sum(map(math.isfinite, self.steps)) / len(self.rows)

    @property
    def alive(self) -> float:
        """Share of the seeds whose training ends with a loss that is finite, and about that of remembering nothing at most."""
        ended: list[bool] = [row["diverged"] is None and row["loss"] <= ALIVE * row["floor"] for row in self.rows]
        return sum(ended) / len(self.rows)

    def middle(self, column: str) -> float:
        """The middle of a column over the seeds that learn."""
        return float(statistics.median(row[column] for row in self.rows if row["solved"] is not None))

    def __str__(self) -> str:
        learnt = [step for step in self.steps if math.isfinite(step)]
        said = f"{len(learnt)} of {len(self.rows)}"
        if learnt:
            low, high = min(learnt), max(learnt)
            said += f", in {statistics.median(learnt):g} steps" + (f" ({low:g} to {high:g})" if high > low else "")
        return f"{said}; rate {self.rows[0]['lr']:g}"


@cache
def study() -> Study:
    """The study, without results."""
    return read(COMMITTED / f"{NAME}.yaml")


@cache
def fresh() -> tuple[int, ...]:
    """The final seeds that nobody had seen when sentences, bounds and controls were fixed."""
    return tuple(seed for seed in study().every("final_seeds") if seed not in SEEN)


@cache
def found() -> Results | None:
    """Its results; None before there are any."""
    try:
        return results(COMMITTED / f"{NAME}.json")
    except ValueError:
        if (COMMITTED / f"{NAME}.json").exists():
            raise
        return None


@cache
def _by_network() -> dict[tuple[Any, ...], list[Mapping[str, Any]]]:
    """The rows of the second pass, by all that names a network."""
    by_network: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    rows = [] if (known := found()) is None else known.rows
    for row in rows:
        if row["final"]:
            by_network.setdefault(tuple(row[name] for name in KEY), []).append(row)
    return by_network


def outdated() -> bool:
    """Whether any of them was made by other code than today's."""
    known = found()
    return known is not None and bool(known.outdated)


def again() -> str:
    """What came of running some of them again since, in words; nothing where that was not done."""
    return "" if (known := found()) is None else known.again


def forget() -> None:
    """Read the results anew when they are next asked for: they have changed."""
    for known in (found, _by_network):
        known.cache_clear()


#: The columns that tell one network of the study from another.
KEY = ("cell", "mitigations", "clip", "task", "lag", "hidden_size", "optimizer", "budget")


def key(network: Network, point: Mapping[str, Any], budget: int) -> tuple[Any, ...]:
    """All that names a network at a point, as in `KEY`.

    Args:
        network: The network.
        point: "task", "lag", "hidden_size" and "optimizer", as a trial names them; "stretch" where the network has one.
        budget: Steps of training at most.
    """
    mitigations = network.mitigations.replace("{stretch}", str(point.get("stretch", "")))
    named = {"cell": network.cell, "mitigations": mitigations, "clip": network.clip, "budget": budget, **point}
    return tuple(named[name] for name in KEY)


def outcome(network: Network, point: Mapping[str, Any], budget: int, seeds: Collection[int] | None = None) -> Outcome:
    """Read what became of a network at a point; both as `key` takes them. With the fresh seeds, if no others are given."""
    seeds = fresh() if seeds is None else seeds
    rows = _by_network().get(key(network, point, budget), [])
    return Outcome(tuple(row for row in rows if row["seed"] in seeds), len(seeds))


def origin() -> dict[str, str]:
    """When, where and with what the results were made; here, before there are any."""
    return provenance() if (known := found()) is None else known.origin


#: Networks that claims of several sections compare.
DEFAULT = Network("PyTorch's own start")
ORTHOGONAL = Network("an orthogonal start", mitigations="OrthogonalStart")
ATTENDING = Network("with attention", mitigations="AttentionOverPast('dot')")
HALF = Network("an orthogonal start, half as large", mitigations="OrthogonalStart(gain=0.5)")
