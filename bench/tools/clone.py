"""A plugin of asv's: it asks no question, and what it writes stays in the clone.

By itself asv asks on the terminal what machine this is, keeps the answer in the home directory, names the machine by
its host name, and writes files beside the recorded results even in a dry run. It reads this file for `plugins` in
asv.conf.json; the folder is no package, so that asv does not look for benchmarks in it.
"""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from asv import util
from asv.benchmarks import Benchmarks
from asv.machine import Machine, MachineCollection

FILE = Path(__file__).parents[2] / ".asv" / "machine.json"


def setup() -> None:
    """Tell asv what this machine is; asv calls it as it starts."""
    this = machine()
    Machine.hardcoded_machine_name = this["machine"]
    MachineCollection.get_machine_file_path = staticmethod(lambda: str(FILE))
    MachineCollection.save(this["machine"], this)
    if {"--dry-run", "-n"} & set(sys.argv):
        Machine.save = Benchmarks.save = lambda *_: None


def machine() -> dict[str, str]:
    """Kind of machine. Each entry is a part of the key of every curve: so no kernel version, which changes weekly."""
    cpu = util.get_cpu_info() or platform.machine()
    cores = str(os.cpu_count())
    card = gpu()
    words = [cpu, cores, "cores"] + ([] if card == "none" else [card])
    name = re.sub(r"\((r|tm)\)|\b(cpu|processor)\b", " ", " ".join(words).lower())
    return {
        "machine": re.sub(r"[^a-z0-9.]+", "-", name).strip("-"),
        "os": platform.system(),
        "arch": platform.machine(),
        "cpu": cpu,
        "num_cpu": cores,
        "ram": f"{round(int(util.get_memsize() or 0) / 2**30)} GiB",
        "gpu": card,
    }


def gpu() -> str:
    """Name of the first GPU, "none" without one. Importing torch to know it would cost seconds."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return answer.stdout.partition("\n")[0].strip() or "none"
