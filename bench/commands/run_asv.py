"""asv, run on a list of commits with its results where one wants them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from asv.util import load_json

from .. import ROOT


def asv(*arguments: str, results: Path | None = None, root: Path = ROOT, commits: Sequence[str] = ()) -> None:
    """Run asv with the settings of `root`, and `results` in place of `bench/results`.

    That some number could not be measured (exit code 2 of `asv run`) is no error here: the results say which.

    Raises:
        SystemExit: Where asv could not do its work.
    """
    root = root.resolve()
    settings = load_json(root / "asv.conf.json", js_comments=True)
    for name in ("repo", "benchmark_dir", "results_dir", "env_dir", "html_dir"):
        settings[name] = str(root / settings[name])
    settings["branches"] = ["HEAD"]  # a clone of another branch has no main
    folder = root / ".asv"
    if results is not None:
        settings |= {"results_dir": str(results), "html_dir": f"{results}-html"}
        folder = results
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "asv.conf.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "asv", "--config", str(path), *arguments]
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    publishing = arguments[0] == "publish"  # says a screen of nothing
    done = subprocess.run(
        command, input="\n".join(commits), text=True, env=environment, capture_output=publishing, check=False
    )
    if done.returncode and (publishing or done.returncode != 2):
        print(
            f"{' '.join(command[2:])} ended with {done.returncode}: {done.stderr or 'it says why above.'}",
            file=sys.stderr,
        )
        raise SystemExit(3)  # 1 would say that something is worse


def run(commits: Sequence[str], bench: str, results: Path | None = None, root: Path = ROOT) -> None:
    """Measure commits, in this order."""
    asv("run", "--no-pull", "--bench", bench, "HASHFILE:-", results=results, root=root, commits=commits)


def resolve(name: str, root: Path = ROOT) -> str:
    """The commit that a name stands for.

    Raises:
        SystemExit: Where it stands for none.
    """
    command = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found or sys.exit(f"Needs the name of a commit, a branch or a tag, got {name!r}.")
