"""asv's own dashboard of the recorded results, as asv makes it.

    .venv/bin/python -m bench.commands.publish [FOLDER]

Its page loads scripts from other sites and its data by requests: it needs a server and the net. The site's page
*Explore* shows the same numbers without either.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from .. import ROOT
from ..stored.results import has_history
from ..stored.suite import benchmarks
from .run_asv import asv


def publish(target: Path, root: Path = ROOT) -> None:
    """Write the dashboard into a folder, which is replaced."""
    with tempfile.TemporaryDirectory(prefix="rnnvanish-dashboard-") as folder:
        results = Path(folder, "results")
        shutil.copytree(root / "bench/results", results, ignore=shutil.ignore_patterns("goals.json"))  # not asv's
        (results / "benchmarks.json").write_text(json.dumps({**benchmarks(root), "version": 2}), encoding="utf-8")
        asv("publish", "--no-pull", results=results, root=root)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(f"{results}-html", target)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / ".asv/html", help="where to (.asv/html)")
    target = parser.parse_args().folder
    if not has_history(ROOT):
        sys.exit("The dashboard needs the whole history: a git repository that is not a shallow clone.")
    publish(target)
    print(
        f"asv's dashboard is in {target}. It loads its scripts from the net, so it needs a connection, and a server:\n"
        f"  {sys.executable} tools/serve.py {target}\n"
        "The site has the same numbers without either: the page Explore, under Benchmarks."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
