"""A plugin of asv's: what is recorded is thin, and says where, when and how busily it was measured."""

import json
import os
import subprocess
import time
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from asv.results import Results

from .. import ROOT
from .checkout import UNBUILT
from .machine import driver

#: What asv needs to draw a number; the rest (times, samples, quartiles) would be nine tenths of each file.
COLUMNS = ("result", "params", "version")
VERSIONS = ("torch", "numba", "numpy")
DIGITS = 6
_started: dict[str, Any] = {}


def setup() -> None:
    """Have asv's own loading and saving note the beginning and the end; asv calls it as it starts."""
    load, save = Results.load_data, Results.save

    def load_and_note(self: Results, folder: str) -> None:
        load(self, folder)
        _started.update(moment())

    def save_and_thin(self: Results, folder: str) -> None:
        path = Path(folder, self._filename)
        runs = json.loads(path.read_text(encoding="utf-8")).get("provenance", []) if path.exists() else []
        save(self, folder)
        data = thin(json.loads(path.read_text(encoding="utf-8")))
        data["provenance"] = [*without(runs, set(self._errcode)), provenance(self)]
        part = path.with_suffix(".part")
        part.write_text(json.dumps(data) + "\n", encoding="utf-8")
        part.replace(path)

    Results.load_data, Results.save = load_and_note, save_and_thin


def thin(data: dict[str, Any]) -> dict[str, Any]:
    """Keep what is drawn, in six digits."""
    rows = {name: dict(zip(data["result_columns"], row, strict=False)) for name, row in data["results"].items()}
    data["results"] = {name: [_shorten(row.get(column)) for column in COLUMNS] for name, row in sorted(rows.items())}
    return {**data, "result_columns": list(COLUMNS), "durations": {}}


def without(runs: list[dict[str, Any]], measured: set[str]) -> list[dict[str, Any]]:
    """Earlier runs, less what has been measured again."""
    left = [{**run, "benchmarks": [name for name in run["benchmarks"] if name not in measured]} for run in runs]
    return [run for run in left if run["benchmarks"]]


def provenance(results: Any) -> dict[str, Any]:
    """When this was measured, with what, and how busy the machine was."""
    start, end = dict(_started), moment()
    said = {name: (results.stderr.get(name) or "").strip().splitlines() for name in sorted(results.errcode)}
    failed = {name: said[name][-1] if said[name] else "failed" for name, code in results.errcode.items() if code}
    reason = UNBUILT.get(results.commit_hash)
    return {
        "seconds": round(end["at"] - start["at"]),
        "load": [start["load"], end["load"]],
        "busy": busy(start["load"], end["load"]),
        "MHz": [start["MHz"], end["MHz"]],
        "rounds": int(os.environ.get("RNNVANISH_BENCH_ROUNDS", "25")),
        "threads": results.env_vars.get("OMP_NUM_THREADS", "all"),
        **setting(),
        "benchmarks": sorted(results.errcode),
        **({"unbuilt": reason} if reason else {"failed": failed} if failed else {}),
    }


def setting() -> dict[str, Any]:
    """The day, the versions, and the commit of the benchmarks themselves."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: _version(name) for name in VERSIONS},
        "driver": driver(),
        "suite": _suite(),
    }


def moment() -> dict[str, Any]:
    """The time, the load average over a minute, and the mean clock of the cores."""
    try:
        load = round(os.getloadavg()[0], 2)
    except OSError:
        load = 0.0
    return {"at": time.time(), "load": load, "MHz": _clock()}


def busy(start: float, end: float) -> bool:
    """Whether others used half of the cores or more; at the end one of them is ours."""
    cores = os.cpu_count() or 1
    return start >= cores / 2 or end - 1 >= cores / 2


def _clock() -> int | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not on Linux
        return None
    speeds = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return round(sum(speeds) / len(speeds)) if speeds else None


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


@cache
def _suite() -> str:
    """The commit of the benchmarks themselves, which are those of the working tree at every commit."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments, "--", "bench/*.py"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    found = git("log", "-1", "--format=%h", "--abbrev=8") or "unknown"
    return found + (" with changes" if git("status", "--porcelain") else "")


def _shorten(value: Any) -> Any:
    if isinstance(value, list):
        return [_shorten(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
