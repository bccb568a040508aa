"""Layers of other packages beside ours, in an environment of their own: the packages of .venv, and the group `peers`.

.venv/bin/python -m bench.peers
"""

import argparse
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from bench import ROOT
from bench.commands.run_asv import resolve
from bench.plugins import machine
from bench.plugins.record import busy, moment, setting

FOLDER = ROOT / ".asv/peers"


def environment() -> Path:
    """Python with the peers; torch is that of .venv, and the constraints hold everything else."""
    python = FOLDER / "bin/python"
    if not (FOLDER / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(FOLDER)], check=True)
        (packages,) = FOLDER.glob("lib/python*/site-packages")
        (packages / "venv.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT / 'src'}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        subprocess.run([*pip, "--constraint", "constraints.txt", "--group", "peers"], cwd=ROOT, check=True)
        (FOLDER / "ready").touch()
    return python


def main() -> int:
    """The command line: without arguments in .venv, with `--measure` in the environment of the peers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().measure:
        from bench.peers.layers import rows

        json.dump(rows(), sys.stdout)
        return 0
    start = moment()
    command = [str(environment()), "-m", "bench.peers", "--measure"]
    paths = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    said = subprocess.run(command, cwd=ROOT, env=paths, stdout=subprocess.PIPE, text=True, check=True).stdout
    end = moment()
    loads = [start["load"], end["load"]]
    data = {"commit": resolve("HEAD"), **setting(), "load": loads, "busy": busy(*loads), "rows": json.loads(said)}
    path = ROOT / f"bench/peers/results/{machine.describe()['machine']}.json"
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    for row in data["rows"]:
        print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
