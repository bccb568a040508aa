"""Plants faults in the package, one at a time, and says which of them no test sees: `make mutation`.

Each fault is planted in a copy of the repository and held against the tests of its own folder; the first that fails
has seen it. What is known is kept in `.cache/mutation`, so a run can be stopped, and goes on. Faults that change
nothing stand in `equivalent.json`, each with its reason.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from mutate import Fault, faults
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("src/rnnvanish")
#: The tests of each folder. Cells have faults of their own, planted by tests/cells/test_mutations.py.
TESTS = {
    "mitigations": ["tests/mitigations"],
    "probes": ["tests/probes", "tests/backward"],
    "backward": ["tests/backward", "tests/probes", "tests/observe"],
    "observe": ["tests/observe", "tests/probes", "tests/backward"],
    "numerics": ["tests/numerics", "tests/probes", "tests/backward", "tests/engine/ir"],
    "diagnosis": ["tests/diagnosis", "tests/models"],
    "engine": ["tests/engine"],
    "experiments": ["tests/experiments", "tests/test_experiments.py"],
}
#: Seconds after which a run of tests counts as one that does not end; a single test has 300.
PATIENCE = 3600
EQUIVALENT = Path(__file__).with_name("equivalent.json")
console = Console(highlight=False)


def drawn(count: int, seed: int) -> list[Fault]:
    """So many faults, the same number of each kind from every folder that has as many."""
    left: dict[tuple[str, str], list[Fault]] = {}
    for folder in TESTS:
        for fault in sorted(_all(folder), key=lambda fault: fault.rank(seed), reverse=True):
            left.setdefault((folder, fault.kind), []).append(fault)
    chosen: list[Fault] = []
    while len(chosen) < count and any(left.values()):
        for ranked in left.values():
            if ranked and len(chosen) < count:
                chosen.append(ranked.pop())
    return chosen


def _all(folder: str) -> list[Fault]:
    found = []
    for path in sorted((ROOT / PACKAGE / folder).rglob("*.py")):
        found += faults(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    # How large an experiment is is a choice, not a fact.
    return [fault for fault in found if folder != "experiments" or fault.kind != "constant"]


class Tree:
    """A copy of the repository in which one fault at a time is planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def run(self, tests: list[str]) -> str:
        """The first test that fails; "" where all pass."""
        environment = os.environ | {
            "PYTHONPATH": str(self.folder / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",  # a source that changes within a second is taken for the same
            "RNNVANISH_CACHE": str(self.folder / ".cache" / "rnnvanish"),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout=300", *tests]
        try:
            done = subprocess.run(
                command, check=False, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return "does not end"
        if done.returncode == 0:
            return ""
        if -done.returncode in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):  # by somebody, not by the fault
            raise KeyboardInterrupt
        if done.returncode < 0:
            return f"killed by signal {-done.returncode}"
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if done.returncode == 2 and not failed:  # pytest's word for Ctrl-C, which reaches it too
            raise KeyboardInterrupt
        return failed[0].partition(" - ")[0] if failed else f"pytest ended with {done.returncode}: {done.stderr[-300:]}"

    def seen(self, fault: Fault) -> str:
        """The first test of a fault's folder that sees it; "" where none does."""
        source = self.folder / fault.path
        sound = source.read_text(encoding="utf-8")
        source.write_text(fault.planted(sound), encoding="utf-8")
        try:
            return self.run(tests_for(self.folder, fault.path))
        finally:
            source.write_text(sound, encoding="utf-8")


def tests_for(root: Path, path: str) -> list[str]:
    """The doctests of a source, and the tests of its folder: first those that speak of it."""
    stem = Path(path).stem
    files = [
        file
        for place in TESTS[folder_of(path)]
        for file in sorted((root / place).rglob("test_*.py") if (root / place).is_dir() else [root / place])
    ]
    files.sort(key=lambda file: (stem not in file.stem, stem not in file.read_text(encoding="utf-8")))
    return [path, *(str(file.relative_to(root)) for file in files)]


class Known:
    """What earlier runs have found: a line a fault, under the sources that it was found with."""

    def __init__(self) -> None:
        self.path = ROOT / ".cache" / "mutation" / "known.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.found: dict[str, str] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []:
            try:
                self.found.update([json.loads(line)])
            except ValueError:  # a run that was stopped while it wrote
                continue

    def add(self, key: str, by: str) -> None:
        """Keep one."""
        self.found[key] = by
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, by]) + "\n")


def folder_of(path: str) -> str:
    """The folder of the package that a source stands in."""
    return Path(path).relative_to(PACKAGE).parts[0]


def key_of(root: Path, fault: Fault, seen: bool) -> str:
    """What a finding depends on. A fault that was seen stays seen; one that was not may be seen by new tests."""
    files = [fault.path] if seen else [fault.path, *tests_for(root, fault.path)]
    text = b"".join((root / file).read_bytes() for file in files)
    return f"{fault.id} {'seen' if seen else 'missed'} {hashlib.sha256(text).hexdigest()[:16]}"


def main() -> int:
    """Run; the exit code is 1 where a fault is missed that changes something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=150, help="how many faults (150)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (0)")
    parser.add_argument("--folder", choices=TESTS, help="those of one folder only")
    parser.add_argument("--workers", type=int, default=2, help="how many at a time (2)")
    options = parser.parse_args()
    equivalent = json.loads(EQUIVALENT.read_text(encoding="utf-8"))
    chosen = drawn(options.count, options.seed)
    if options.folder:
        chosen = [fault for fault in chosen if folder_of(fault.path) == options.folder]
    known, start = Known(), time.monotonic()
    missed, score = [], Counter()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.workers) as pool:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for worker in range(options.workers):
            trees.put(Tree(Path(folder) / str(worker)))

        def held(fault: Fault) -> str:
            tree = trees.get()
            try:
                for seen in (True, False):
                    if (key := key_of(tree.folder, fault, seen)) in known.found:
                        return known.found[key]
                by = tree.seen(fault)
                known.add(key_of(tree.folder, fault, bool(by)), by)
                return by
            finally:
                trees.put(tree)

        def sound(folder: str) -> str:
            tree = trees.get()
            try:
                files = (path.read_bytes() for path in sorted(tree.folder.rglob("*.py")))
                key = f"{folder} {hashlib.sha256(b''.join(files)).hexdigest()[:16]}"
                if key not in known.found:
                    known.add(key, tree.run(TESTS[folder]))
                return known.found[key]
            finally:
                trees.put(tree)

        try:
            folders = sorted({folder_of(fault.path) for fault in chosen})
            for name, fails in zip(folders, pool.map(sound, folders), strict=True):
                if fails:  # whatever is planted would count as seen
                    console.print(f"Nothing is planted: without a fault, {name} already fails: {fails}")
                    return 2
            for done, (fault, by) in enumerate(zip(chosen, pool.map(held, chosen), strict=True), 1):
                what = "seen" if by else "equivalent" if fault.id in equivalent else "MISSED"
                score[what] += 1
                missed += [fault] if what == "MISSED" else []
                console.print(f"{done:4d}/{len(chosen)}  {what:10}  {fault.id}  {by}", markup=False, soft_wrap=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            console.print("Stopped. What is known is kept: the same command goes on.")
            return 130
    minutes = (time.monotonic() - start) / 60
    console.print(f"{score['seen']} of {len(chosen)} seen, {score['equivalent']} change nothing, {minutes:.0f} min.")
    for fault in missed:
        console.print(f"missed: {fault.id}", markup=False, soft_wrap=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
