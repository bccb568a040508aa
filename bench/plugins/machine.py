"""A plugin of asv's that tells it which machine this is: it asks no question, and what it writes stays in the clone.

By itself asv asks on the terminal what machine this is, keeps the answer in the home directory, names the machine by
its host name, and writes files beside the recorded results even in a dry run. It reads this file for `plugins` in
asv.conf.json; the folder is no package, so that asv does not look for benchmarks in it.
"""

import os
import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from asv import util
from asv.benchmarks import Benchmarks
from asv.machine import Machine, MachineCollection

from .. import ROOT

FILE = ROOT / ".asv" / "machine.json"


def setup() -> None:
    """Tell asv what this machine is; asv calls it as it starts."""
    this = describe()
    Machine.hardcoded_machine_name = this["machine"]
    MachineCollection.get_machine_file_path = staticmethod(lambda: str(FILE))
    MachineCollection.save(this["machine"], this)
    if {"--dry-run", "-n"} & set(sys.argv):
        Machine.save = Benchmarks.save = lambda *_: None


def describe() -> dict[str, str]:
    """Kind of machine. Each entry is a part of the key of every curve: so no kernel version, which changes weekly.

    `ASV_MACHINE` gives it another name, for two machines of one kind that differ all the same.
    """
    cpu = util.get_cpu_info() or platform.machine()
    cores = str(os.cpu_count())
    card = gpu()
    words = [cpu, cores, "cores"] + ([] if card == "none" else [card])
    name = re.sub(r"\((r|tm)\)|\b(cpu|processor)\b", " ", " ".join(words).lower())
    return {
        "machine": os.environ.get("ASV_MACHINE") or re.sub(r"[^a-z0-9.]+", "-", name).strip("-"),
        "os": platform.system(),
        "arch": platform.machine(),
        "cpu": cpu,
        "num_cpu": cores,
        "threads": f"{threads_per_core()} per core",
        "ram": f"{round(int(util.get_memsize() or 0) / 2**30)} GiB",
        "gpu": card,
        "driver": driver(),
    }


def gpu() -> str:
    """Name of the first GPU, "none" without one."""
    return _ask_the_driver("name")


def driver() -> str:
    """Version of the GPU's driver, "none" without one."""
    return _ask_the_driver("driver_version")


@cache
def _ask_the_driver(what: str) -> str:
    """Importing torch to know it would cost seconds."""
    command = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return answer.stdout.partition("\n")[0].strip() or "none"


def threads_per_core() -> int:
    """Hardware threads that share a core."""
    try:
        shared = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list").read_text(encoding="utf-8")
    except OSError:  # not on Linux
        return 1
    first, _, last = shared.strip().partition("-")
    return int(last) - int(first) + 1 if last else len(shared.split(","))
