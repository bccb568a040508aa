"""What a sweep adds to its trials: time, on two workers, and memory, where there are many of them."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from asv_runner.benchmarks.mark import SkipNotImplemented

from .common import QUICK, look_up, need, tabulate

#: Trials that take no time, and after how many it is looked; trials of so many seconds that come after them.
COUNTS = [100, 1000] if QUICK else [1000, 3000, 10_000]
SLEEPING, SECONDS, WORKERS = 10 if QUICK else 200, 0.1, 2


def attempts(trivial: int, seconds: float) -> Callable[[Any], dict[str, Any]]:
    """What runs the trials: written here, since the workers cannot import the benchmarks."""

    def attempt(trial: Any) -> dict[str, Any]:
        import time

        time.sleep(0.0 if trial.seed < trivial else seconds)
        return {"result": {"solved": None, "diverged": None, "steps": 0}}

    return attempt


def resident_bytes() -> int:
    """Bytes of memory that this process holds."""
    import psutil

    return psutil.Process().memory_info().rss


def measure(_: str) -> dict[str, list[float]]:
    """Seconds and bytes of the sweeping process, each time that a trial has ended; bytes where it is looked."""
    cluster, studies, run = (need(f"rnnvanish.studies{name}") for name in (".cluster", "", ".run"))
    most = COUNTS[-1]
    study = studies.Study("trivial", ["GRU"], ["recall"], [1], seeds=list(range(most + SLEEPING)), hidden_sizes=[2])
    seconds: list[float] = []
    held: list[float] = []

    def report(progress: Any) -> None:
        if progress.here > len(seconds):
            seconds.append(time.perf_counter())
            held.append(resident_bytes() if len(seconds) in {1, *COUNTS} else 0)

    with TemporaryDirectory() as folder:
        function = attempts(most, SECONDS)
        run.sweep(
            study, studies.Store(Path(folder)), cluster.Cluster(workers=WORKERS), function=function, report=report
        )
    return {"seconds": seconds, "bytes": held}


class Sweep:
    """A sweep on two workers of this machine: trials that take no time, then some that sleep for a tenth of a second."""

    version = "1"
    params: ClassVar = [COUNTS]
    param_names: ClassVar = ["trials"]

    def setup_cache(self) -> dict[Any, Any]:
        return tabulate(measure, ["sweep"])

    setup_cache.timeout = 600

    def track_cost(self, table: dict[Any, Any], trials: int) -> float:
        """Microseconds on the clock of a trial that takes no time, mean of the first so many; what it costs to begin aside."""
        seconds = look_up(table, "sweep")["seconds"]
        return 1e6 * (seconds[trials - 1] - seconds[0]) / (trials - 1)

    track_cost.unit = "microseconds per trial"

    def track_memory(self, table: dict[Any, Any], trials: int) -> float:
        """Bytes that the sweeping process has gained between its first result and this one; 1 where it gained none."""
        held = look_up(table, "sweep")["bytes"]
        return max(held[trials - 1] - held[0], 1.0)

    track_memory.unit = "bytes"

    def track_overhead(self, table: dict[Any, Any], trials: int) -> float:
        """Seconds on the clock from one result to the next, over those of a trial on one of two workers; after so many."""
        if trials != COUNTS[-1]:
            raise SkipNotImplemented("measured once, after all others")
        seconds = look_up(table, "sweep")["seconds"][trials:]
        return (seconds[-1] - seconds[0]) / (len(seconds) - 1) / (SECONDS / WORKERS)

    track_overhead.unit = "x its trials"
