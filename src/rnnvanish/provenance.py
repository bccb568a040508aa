"""Where a number comes from: what stands beside every figure that is published."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch


@cache
def provenance() -> dict[str, str]:
    """Date (UTC), commit, processor, threads and versions of this process."""
    return {
        "date": datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", datetime.now(UTC).timestamp())), UTC)
        .date()
        .isoformat(),
        "commit": _commit(),
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def _commit() -> str:
    """First eight digits of the commit that this code stands at, "unknown" outside of its repository."""
    here = Path(__file__).parent
    try:
        tracked = ["git", "-C", str(here), "ls-files", "--error-unmatch", Path(__file__).name]
        subprocess.run(tracked, check=True, capture_output=True)  # not some other repository that we were installed in
        commit = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout[:8]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
