"""The recorded results, read: a series of points for each number of each machine, in the order of the history.

Standard library only: the site is built from it.
"""

import itertools
import json
import math
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Commit:
    """A commit of the history; `place` counts from the first. Dates do not order: they jump where work was rebased."""

    hash: str
    place: int
    date: str
    subject: str

    @property
    def short(self) -> str:
        return self.hash[:8]


@dataclass(frozen=True)
class Point:
    """What a commit gave: a value, or None where measuring it failed."""

    commit: Commit
    value: float | None
    run: dict[str, Any] = field(repr=False, hash=False, compare=False)


@dataclass(frozen=True)
class Series:
    """One number over commits: of a benchmark, for some values of its parameters, on one machine."""

    machine: str
    environment: str
    benchmark: str
    cell: tuple[str, ...]
    points: tuple[Point, ...]

    @property
    def measured(self) -> list[Point]:
        return [point for point in self.points if point.value is not None]

    @property
    def newest(self) -> int:
        """Place of the newest commit that has a number."""
        return max((point.commit.place for point in self.measured), default=-1)

    def __str__(self) -> str:
        return f"{self.benchmark}({', '.join(self.cell)})" if self.cell else self.benchmark


def has_history(root: Path) -> bool:
    """Whether there are commits to lay results along: a repository, and not a shallow copy of it, which has none."""
    command = ["git", "-C", str(root), "rev-parse", "--is-shallow-repository"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.returncode == 0 and said.stdout.strip() == "false"


def history(repository: Path) -> dict[str, Commit]:
    """Every commit that leads to HEAD, by its hash, the oldest first."""
    command = ["git", "-C", str(repository), "log", "--topo-order", "--reverse", "--format=%H%x00%cs%x00%s"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts = [line.split("\0") for line in said.splitlines()]
    return {name: Commit(name, place, date, subject) for place, (name, date, subject) in enumerate(parts)}


def files(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every result file of asv's, <commit8>-<environment>.json, with what is in it, machine by machine."""
    for path in sorted(folder.glob("*/????????-*.json")):
        yield path, json.loads(path.read_text(encoding="utf-8"))


def machines(folder: Path) -> dict[str, dict[str, Any]]:
    """What is known of each machine, by its name."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/machine.json"))}


def read(folder: Path, commits: dict[str, Commit], versions: dict[str, str] | None = None) -> list[Series]:
    """Read all series; what is of a commit outside of the history, or of another version of a benchmark, is left out.

    Another torch or Numba gives a number a series of its own; of these the one that was measured last comes last.

    Args:
        folder: `bench/results`.
        commits: The history.
        versions: Version of each benchmark; None takes them as they come.
    """
    found: dict[tuple[Any, ...], list[Point]] = {}
    for path, data in files(folder):
        if (commit := commits.get(data["commit_hash"])) is None:
            continue
        runs = {name: run for run in data.get("provenance", []) for name in run["benchmarks"]}
        for name, row in data["results"].items():
            known = dict(zip(data["result_columns"], row, strict=False))
            if versions is not None and versions.get(name) != known["version"]:
                continue
            cells = [tuple(each.strip("'") for each in cell) for cell in itertools.product(*known["params"])]
            values = known["result"] or [None] * len(cells)
            for cell, value in zip(cells, values, strict=True):
                if value is None or not math.isnan(value):  # asv's word for skipped: the commit does not have it
                    point = Point(commit, value, runs.get(name, {}))
                    found.setdefault((path.parent.name, data["env_name"], name, cell), []).append(point)
    series = [
        Series(*key, tuple(sorted(points, key=lambda point: point.commit.place))) for key, points in found.items()
    ]
    return sorted(series, key=lambda each: (each.machine, each.benchmark, each.cell, each.newest, each.environment))


def unmeasured(folder: Path, commits: dict[str, Commit]) -> dict[Commit, str]:
    """Commits that could not be measured at all, with the reason."""
    found = {}
    for _, data in files(folder):
        reasons = [run["unbuilt"] for run in data.get("provenance", []) if "unbuilt" in run]
        if reasons and data["commit_hash"] in commits:
            found[commits[data["commit_hash"]]] = reasons[-1]
    return dict(sorted(found.items(), key=lambda item: item[0].place))
