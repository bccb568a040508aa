"""How long it takes to import what one uses, in processes that have imported nothing."""

import os
import resource
import statistics
import subprocess
import sys

from .common import QUICK, ROUNDS, ratio

#: All public names, but for what an extra brings.
EVERYTHING = """
import rnnvanish
for name in sorted({*getattr(rnnvanish, "__all__", ())} - {"RetentionMonitor"}):
    getattr(rnnvanish, name)
"""


def seconds_of(code: str) -> float:
    """CPU seconds of a process of Python that runs `code`, from what is compiled to bytecode, as an installed package is."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Import:
    """Every public name of the package imported, beside `import torch`."""

    version = "1"

    def setup_cache(self) -> dict[str, float]:
        codes = EVERYTHING, "import torch"
        for code in codes:
            seconds_of(code)  # writes the bytecode
        rounds = [[seconds_of(code) for code in codes] for _ in range(1 if QUICK else ROUNDS // 3)]
        ours, torch = map(list, zip(*rounds, strict=True))
        more = statistics.median(one - other for one, other in zip(ours, torch, strict=True))
        return {"ratio": ratio(ours, torch), "more": more}

    setup_cache.timeout = 300

    def track_vs_torch(self, table: dict[str, float]) -> float:
        """CPU time over that of `import torch`."""
        return table["ratio"]

    track_vs_torch.unit = "x import torch"

    def track_more(self, table: dict[str, float]) -> float:
        """CPU seconds more than `import torch`; 0.3 are allowed."""
        return table["more"]

    track_more.unit = "seconds"
