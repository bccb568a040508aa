"""The same commit against itself: how often does the comparison say that it is worse?

    .venv/bin/python -m bench.commands.false_alarms [--tries 20]

Each try judges as `make bench-compare` does, by the numbers that noise can move and that matter most: the ratios of a
training step, each run in a process of its own, as asv takes them. A try is written to `bench/noise/` when it is done,
so that this can be stopped and started again.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .. import ROOT
from ..plugins import machine
from ..plugins.record import moment, setting
from ..stored.suite import units
from .compare import ROUNDS, Runs, worse
from .run_asv import resolve

NOISE = ROOT / "bench/noise"
NAME = "speed.TrainingStep.track_vs_"
RATIOS = ("torch", "loop", "reference")
SCRIPT = """
import json
from bench import speed
table = speed.TrainingStep().setup_cache()
rows = {cell: row for (cell, device), row in table.items() if device == "cpu"}
json.dump({cell: {name: row[name] for name in %r if isinstance(row[name], float)} for cell, row in rows.items()}, open(1, "w"))
"""


def take(runs: Runs) -> None:
    """Take every ratio once, in a fresh process, of the source that stands here."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-c", SCRIPT % (RATIOS,)]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    for cell, row in json.loads(said).items():
        for name, value in row.items():
            runs.values[NAME + name, (cell,)].append(value)


def spread(runs: tuple[Runs, Runs]) -> list[float]:
    """How much larger the larger of two medians of the same code was, for each number."""
    found = []
    for key in runs[0].values:
        first, second = (one.measured(key)[:ROUNDS] for one in runs)
        if first and second:
            ratio = (sum(second) / len(second)) / (sum(first) / len(first))
            found.append(round(max(ratio, 1 / ratio), 4))
    return found


def attempt() -> dict[str, Any]:
    """One try: numbers compared, those that looked worse at first, and those that still did after a second look."""
    start, (before, after) = moment(), (Runs(), Runs())
    found = {}
    for look in ("suspected", "alarms"):
        for turn in range(ROUNDS):
            for runs in (before, after)[:: 1 if turn % 2 else -1]:
                take(runs)
        found[look] = sorted(f"{name}({', '.join(cell)})" for name, cell in worse(before, after, units()))
        if not found[look]:
            break
    apart, load = spread((before, after)), [start["load"], moment()["load"]]
    return {"numbers": len(after.values), "alarms": [], **found, "apart": apart, "load": load}


def rounds() -> int:
    """Rounds in which each ratio is taken; a quick run takes fewer, and is noisier for it."""
    return int(os.environ.get("RNNVANISH_BENCH_ROUNDS", "5" if "RNNVANISH_BENCH_QUICK" in os.environ else "25"))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tries", type=int, default=20, help="how often (20)")
    given = parser.parse_args()
    path = NOISE / f"{machine.describe()['machine']}.json"
    commit = resolve("HEAD")
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if (known.get("commit"), known.get("rounds")) != (commit, rounds()):
        known = {"commit": commit, "rounds": rounds(), **setting(), "tries": []}
    while len(known["tries"]) < given.tries:
        known["tries"].append(attempt())
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
