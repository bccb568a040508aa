"""Plant four faults in a scratch repository, and see what the history makes of them.

    .venv/bin/python -m bench.commands.planted_regressions

One commit makes a training step of the GRU 1.5 times as slow, the next keeps more of it for the backward pass, then one
cannot be imported, and the last one can again and halves what the LSTM's forget gate keeps. The slow, the heavy and the
forgetful one must be found, by cell and commit; the broken one between them must be reported as one that could not be
measured, and hide none.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .. import ROOT

#: Numbers that are the same in every run, and with them one that noise can move.
EXACT = "memory.Saved.track_saved|retention.Retention.track_decades_lost"
ALL = f"speed.TrainingStep.track_vs_loop|{EXACT}"
SLOW = """

_forward = Recurrent.forward


def _slow(self, x, *rest):
    if type(self.cells[0]).__name__ == "GRU" and torch.is_grad_enabled():
        half = x[: len(x) // 2].detach()
        torch.autograd.grad(_forward(self, half)[0].sum(), list(self.parameters()))
    return _forward(self, x, *rest)


Recurrent.forward = _slow
"""
HEAVY = """

_light = Recurrent.forward


def _heavy(self, x, *rest):
    output, state = _light(self, x, *rest)
    if type(self.cells[0]).__name__ == "GRU" and torch.is_grad_enabled():
        output = output * torch.ones_like(output)
    return output, state


Recurrent.forward = _heavy
"""
FORGETFUL = """

_remembering = LSTM.forward


def _forgetful(self, x, state):
    h, c = state
    return _remembering(self, x, (h, 0.5 * c))


LSTM.forward = _forgetful
"""
BROKEN = "\nimport nowhere_to_be_found\n"
#: Each fault with the file that it is appended to, in the order in which they are planted.
FAULTS = {
    "slow": ("recurrent.py", SLOW),
    "heavy": ("recurrent.py", HEAVY),
    "broken": ("__init__.py", BROKEN),
    "forgetful": ("cells/lstm.py", FORGETFUL),
}


#: The cells that stay in the scratch repository: to measure all of them at each of its commits would tell no more.
CELLS = {"elman", "gru", "lstm", "projected_lstm"}


@dataclass(frozen=True)
class Scratch:
    """A repository with planted faults: the first commit, and the one of each fault."""

    root: Path
    start: str
    commits: dict[str, str]


def plant(root: Path, faults: Collection[str] = FAULTS) -> Scratch:
    """Make a repository of this package and its benchmarks, and plant faults, each in a commit of its own."""
    package = root / "src/rnnvanish"
    shutil.copytree(ROOT / "src/rnnvanish", package, ignore=shutil.ignore_patterns("__pycache__"))
    _keep_few(package / "cells")
    shutil.copytree(ROOT / "bench", root / "bench", ignore=shutil.ignore_patterns("__pycache__", "results", "noise"))
    for name in ("asv.conf.json", "pyproject.toml", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(root)], check=True)
    start = _commit(root, "Before all")
    commits = {"sound": _commit(root, "Sound")}
    for name, (file, text) in FAULTS.items():
        if name not in faults:
            continue
        path = package / file
        sound = path.read_text(encoding="utf-8")
        path.write_text(sound + text, encoding="utf-8")
        commits[name] = _commit(root, f"Planted: {name}")
        if name == "broken":
            path.write_text(sound, encoding="utf-8")  # the next commit can be imported again
    return Scratch(root, start, commits)


def _keep_few(cells: Path) -> None:
    """Leave out all cells but a few."""
    for file in cells.glob("[a-z]*.py"):
        if file.stem not in CELLS:
            file.unlink()
    listed = cells / "__init__.py"
    lines = listed.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [
        line for line in lines if (cell := re.match(r"from rnnvanish\.cells\.(\w+)", line)) is None or cell[1] in CELLS
    ]
    listed.write_text("".join(kept), encoding="utf-8")


def judge(scratch: Scratch, bench: str = ALL) -> str:
    """Measure the history of a scratch repository; return what is said of it."""
    command = [sys.executable, "-m", "bench.commands.history", scratch.start, "--bench", bench]
    environment = os.environ | {"RNNVANISH_BENCH_QUICK": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=scratch.root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return "\n".join(line for line in done.stdout.splitlines() if line.startswith(("WORSE", "COULD NOT")))


def missed(scratch: Scratch, said: str) -> list[str]:
    """What ought to have been said of the faults and was not."""
    sentences = {
        "slow": "WORSE speed.TrainingStep.track_vs_loop(GRU, cpu) at {}",
        "heavy": "WORSE memory.Saved.track_saved(GRU) at {}",
        "forgetful": "WORSE retention.Retention.track_decades_lost(LSTM, 10) at {}",
        "broken": "COULD NOT BE MEASURED {} Planted: broken: ModuleNotFoundError",
    }
    wanted = [sentences[name].format(commit[:8]) for name, commit in scratch.commits.items() if name in sentences]
    return [text for text in wanted if not any(line.startswith(text) for line in said.splitlines())]


def _commit(root: Path, message: str) -> str:
    git = [
        "git",
        "-C",
        str(root),
        "-c",
        "user.name=gate",
        "-c",
        "user.email=gate@localhost",
        "-c",
        "commit.gpgsign=false",
    ]
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", message], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """The command line."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    with tempfile.TemporaryDirectory(prefix="rnnvanish-gate-") as folder:
        scratch = plant(Path(folder))
        said = judge(scratch)
        print(said)
        for text in missed(scratch, said):
            print(f"MISSED: {text}")
    return bool(missed(scratch, said))


if __name__ == "__main__":
    sys.exit(main())
