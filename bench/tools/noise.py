"""The same commit against itself: how often does the comparison say that it is worse?

    .venv/bin/python -m bench.tools.noise [--bench REGEX] [--tries 20]

Each try is what `make bench-compare` does. It is written to `bench/noise/` when it is done, so that it can be stopped
and started again; what was measured with other benchmarks is begun anew.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from . import clone
from .compare import ROUNDS, Runs, compare, worse
from .drive import ROOT, resolve
from .record import moment, setting
from .regressions import EXACT, limit
from .suite import units

NOISE = ROOT / "bench/noise"
#: What noise can move, and dear enough to be measured over and over: the ratios of a training step.
BENCH = "speed.TrainingStep.track_vs"


def spread(runs: tuple[Runs, Runs]) -> list[float]:
    """How much larger the larger of two medians of the same code was, for each number."""
    found = []
    for key in runs[0].values:
        first, second = (one.measured(key)[:ROUNDS] for one in runs)
        if first and second:
            ratio = (sum(second) / len(second)) / (sum(first) / len(first))
            found.append(round(max(ratio, 1 / ratio), 4))
    return found


def attempt(commit: str, bench: str) -> dict[str, Any]:
    """One try: numbers compared, those that looked worse at first, and those that still did after a second look."""
    start = moment()
    before, after, found = compare(commit, commit, bench)
    first = worse(*(_first(runs) for runs in (before, after)), units())
    return {
        "numbers": len(after.values),
        "suspected": sorted(f"{name}({', '.join(cell)})" for name, cell in first),
        "alarms": sorted(f"{name}({', '.join(cell)})" for name, cell in found),
        "apart": spread((before, after)),
        "load": [start["load"], moment()["load"]],
    }


def rounds() -> int:
    """Rounds in which each ratio is taken; a quick run takes fewer, and is noisier for it."""
    return int(os.environ.get("RNNVANISH_BENCH_ROUNDS", "5" if "RNNVANISH_BENCH_QUICK" in os.environ else "25"))


def _first(runs: Runs) -> Runs:
    return Runs({key: values[:ROUNDS] for key, values in runs.values.items()})


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bench", default=BENCH, help=f"a pattern of benchmarks ({BENCH})")
    parser.add_argument("--tries", type=int, default=20, help="how often (20)")
    given = parser.parse_args()
    bench = BENCH if given.bench == "." else given.bench
    if not any(re.search(bench, name) and (limit(unit) or EXACT) > EXACT for name, unit in units().items()):
        sys.exit(f"Needs a pattern of benchmarks that noise can move, got {bench!r}.")
    path = NOISE / f"{clone.machine()['machine']}.json"
    commit = resolve("HEAD")
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if (known.get("commit"), known.get("bench")) != (commit, bench):
        known = {"commit": commit, "bench": bench, "rounds": rounds(), **setting(), "tries": []}
    while len(known["tries"]) < given.tries:
        known["tries"].append(attempt(commit, bench))
        write(path, known)
    alarms = sum(bool(each["alarms"]) for each in known["tries"])
    print(f"{alarms} false alarms in {len(known['tries'])} tries.")
    return 0


def write(path: Path, known: dict[str, Any]) -> None:
    """Write the tries, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
