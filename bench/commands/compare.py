"""Two commits, measured in turns: which numbers of the second are worse?

    .venv/bin/python -m bench.commands.compare BASE [HEAD] [--bench REGEX]

A number that is the same in every run is worse when it is larger. One that noise can move is worse when it is larger by
more than noise, the lowest of its runs is above the highest of the other commit's, and it is still so after two rounds
more. Exit code 0: nothing is worse; 1: something is; 2: something can no longer be measured; 3: nothing was measured.
"""

import argparse
import io
import re
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from .. import ROOT
from ..stored.regressions import EXACT, limit
from ..stored.results import Commit, Series, read, unmeasured
from ..stored.suite import units
from .run_asv import resolve, run

ROUNDS = 2
Key = tuple[str, tuple[str, ...]]


@dataclass
class Runs:
    """Every value that a commit gave, in the order of the runs; None where measuring it failed."""

    values: dict[Key, list[float | None]] = field(default_factory=lambda: defaultdict(list))
    unbuilt: str | None = None

    def add(self, series: Iterable[Series]) -> None:
        for each in series:
            self.values[each.benchmark, each.cell].append(each.points[0].value)

    def measured(self, key: Key) -> list[float]:
        return [value for value in self.values.get(key, []) if value is not None]


def measure(base: str, head: str, bench: str, rounds: int, runs: tuple[Runs, Runs], root: Path = ROOT) -> None:
    """Measure both commits `rounds` times, in turns, in alternating order, and add what they gave to `runs`."""
    commits = {name: Commit(name, place, "", "") for place, name in enumerate((base, head))}
    for turn in range(rounds):
        pairs = list(zip((base, head), runs, strict=True))[:: 1 if turn % 2 else -1]
        batches = [pairs] if base != head else [[pair] for pair in pairs]  # the same commit has one file of results
        for batch in batches:
            with tempfile.TemporaryDirectory(prefix="rnnvanish-bench-") as folder:
                run([name for name, _ in batch], bench, Path(folder), root)
                for name, one in batch:
                    one.add(read(Path(folder), {name: commits[name]}))
                    one.unbuilt = unmeasured(Path(folder), commits).get(commits[name])


def worse(base: Runs, head: Runs, unit: dict[str, str]) -> dict[Key, tuple[float, float]]:
    """Numbers that are worse, beyond noise: from which median to which."""
    found = {}
    for key in sorted(head.values):
        allowed = limit(unit.get(key[0], ""))
        before, after = base.measured(key), head.measured(key)
        if allowed is None or not before or not after:
            continue
        medians = statistics.median(before), statistics.median(after)
        if medians[1] > medians[0] * allowed and (allowed == EXACT or min(after) > max(before)):
            found[key] = medians
    return found


def lost(base: Runs, head: Runs) -> list[Key]:
    """Numbers that could be measured, and no longer can."""
    return sorted(key for key in base.values if base.measured(key) and not head.measured(key))


def suspects(found: dict[Key, tuple[float, float]]) -> str:
    """A pattern of the benchmarks that are to be measured again; asv holds it against `name(parameters)`."""
    return "|".join(sorted({rf"^{re.escape(name)}(\(|$)" for name, _ in found}))


def compare(base: str, head: str, bench: str, root: Path = ROOT) -> tuple[Runs, Runs, dict[Key, tuple[float, float]]]:
    """Measure two commits, what looks worse twice as often."""
    unit, runs = units(), (Runs(), Runs())
    measure(base, head, bench, ROUNDS, runs, root)
    doubtful = {key: found for key, found in worse(*runs, unit).items() if limit(unit[key[0]]) != EXACT}
    if doubtful:
        measure(base, head, suspects(doubtful), ROUNDS, runs, root)
    return *runs, worse(*runs, unit)


def report(before: Runs, after: Runs, found: dict[Key, tuple[float, float]], head: str) -> int:
    """Say what was found; returns the exit code."""
    unit = units()
    if not any(map(before.measured, before.values)):
        print("Nothing was measured: is there a benchmark of that name?")
        return 3
    for (name, cell), (old, new) in found.items():
        print(f"WORSE {name}({', '.join(cell)}) at {head[:8]}: {new / old:.2f} times, {old:g} -> {new:g} {unit[name]}")
    if after.unbuilt:
        print(f"COULD NOT BE MEASURED {head[:8]}: {after.unbuilt}")
        return 2
    gone = lost(before, after)
    for name, cell in gone:
        print(f"COULD NOT BE MEASURED {name}({', '.join(cell)}) at {head[:8]}")
    print(f"{len(after.values)} numbers: {len(found)} worse, {len(gone)} lost.")
    return 1 if found else 2 if gone else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("head", nargs="?", default="HEAD", help="the commit that may be worse (HEAD)")
    parser.add_argument("--bench", default=".", help="a pattern of benchmarks (all)")
    parser.add_argument("--save", type=Path, help="a file for what is said in the end")
    given = parser.parse_args()
    base, head = resolve(given.base), resolve(given.head)
    found = compare(base, head, given.bench)
    with redirect_stdout(io.StringIO()) as said:
        code = report(*found, head)
    print(said.getvalue(), end="")
    if given.save:
        given.save.parent.mkdir(parents=True, exist_ok=True)
        given.save.write_text(said.getvalue(), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
