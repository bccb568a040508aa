"""Where a number comes from: what stands beside every figure that is published."""

import os
import platform
import re
import time
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from rnnvanish.records.version import this_commit


def provenance() -> dict[str, str]:
    """Date (UTC), version, commit (where it is known), processor, threads and versions of this process."""
    now = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    return {
        "date": datetime.fromtimestamp(now, UTC).date().isoformat(),
        "rnnvanish": version("rnnvanish"),
        **({} if (known := this_commit()) is None else {"commit": known}),
        "processor": processor(),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__.partition("+")[0],
        "python": platform.python_version(),
    }


@cache
def processor() -> str:
    """Name of the processor."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:  # not on Linux
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def in_a_sentence(known: dict[str, str]) -> str:
    """Say when, where and from which code something was measured."""
    return (
        f"Measured on {known['date']}, commit {known.get('commit', 'unknown')}, "
        f"{known['processor']}, torch {known['torch']}, Python {known['python']}"
    )


def when_stored(known: dict[str, str], seconds: float, outdated: bool, again: str = "") -> str:
    """Say when and where a stored measurement was made, how long it took, and whether the code has changed since.

    Args:
        known: When and where.
        seconds: How long it took.
        outdated: Whether the code has changed since.
        again: What came of running some of it again since then, in words.
    """
    took = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    since = (
        f" The code has changed since then{f'. {again}' if again else ': `make claims` measures it anew.'}"
        if outdated
        else ""
    )
    return f"Too dear to measure at every build ({took}). {in_a_sentence(known)}.{since}"
