"""Commits of the past, measured: every one since a tag, or since any other commit; one that was measured is skipped.

    .venv/bin/python -m bench.commands.history [SINCE] [--bench REGEX]

Each commit is written when it is done, so that it can be stopped at any time and started again. A commit that cannot be
measured is recorded with the reason and passed over.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from .. import ROOT
from ..plugins import machine
from ..stored.regressions import Regression, regressions
from ..stored.results import Commit, files, history, read, unmeasured
from ..stored.suite import benchmarks, units, versions
from .run_asv import resolve, run


def since(name: str | None, root: Path = ROOT) -> list[str]:
    """Commits after `name` on the way to HEAD, the newest first; after the latest tag by default."""
    if not name:
        command = ["git", "-C", str(root), "describe", "--tags", "--abbrev=0"]
        name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if not name:
            sys.exit("There is no tag yet: say since which commit, as in make bench-history SINCE=HEAD~20.")
    command = ["git", "-C", str(root), "rev-list", "--first-parent", f"{resolve(name, root)}..HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def done(results: Path, machine: str, bench: str) -> set[str]:
    """Commits for which this machine has all that is asked for."""
    wanted = {name: each["version"] for name, each in benchmarks().items() if re.search(bench, name)}
    found = set()
    for path, data in files(results):
        version = data["result_columns"].index("version")
        have = {name: row[version] for name, row in data["results"].items()}
        if path.parent.name == machine and all(have.get(name) == wanted[name] for name in wanted):
            found.add(data["commit_hash"])
    return found


def findings(results: Path, root: Path = ROOT) -> tuple[list[Regression], dict[Commit, str]]:
    """What became worse at which commit, and which commits could not be measured."""
    commits, unit = history(root), units()
    found = [
        regression
        for series in read(results, commits, versions())
        for regression in regressions(series, unit[series.benchmark])
    ]
    return sorted(found, key=lambda each: each.commit.place), unmeasured(results, commits)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("since", nargs="?", default=None, help="the commit after which to begin (the latest tag)")
    parser.add_argument("--bench", default=".", help="a pattern of benchmarks (all)")
    given = parser.parse_args()
    results = ROOT / "bench/results"
    asked = since(given.since)
    todo = [commit for commit in asked if commit not in done(results, machine.describe()["machine"], given.bench)]
    print(f"{len(asked)} commits, {len(asked) - len(todo)} of them measured already.")
    if todo:
        run(todo, given.bench)
    worse, unmeasurable = findings(results)
    for commit, reason in unmeasurable.items():
        print(f"COULD NOT BE MEASURED {commit.short} {commit.subject}: {reason}")
    for regression in worse:
        print(f"WORSE {regression}")
    print(f"{len(worse)} numbers became worse, {len(unmeasurable)} commits could not be measured.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
