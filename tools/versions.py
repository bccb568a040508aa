"""Try the package in every version that it promises, each in an environment that is removed again.

`python tools/versions.py [--only 3.12 ...] [--parts wheel engine ...]`, or `make test-versions`. Stopped and started again
it goes on with the same commit, after the last part that came to its end. What came of it stands in `docs/versions.json`.
Torch for CUDA comes with gigabytes of libraries, so that one environment is there at a time.
"""

import argparse
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "docs/versions.json"
WORK = ROOT / ".cache/versions"
SOURCE, DIST = WORK / "source", WORK / "dist"
#: What is installed without being pinned: each environment has a torch of its own, which brings its Triton.
FREE = ("torch", "triton")
#: Commands that a light install has, beside those that the README's blocks of shell show.
COMMANDS = ("rnnvanish --version", "rnnvanish cells", "rnnvanish cells LSTM", "rnnvanish mitigations")
#: What users of the package lean on, in the order in which it is tried. The first two need no test and no extra.
PARTS: dict[str, tuple[str, ...]] = {
    "wheel": (),
    "sdist": (),
    "layers": (
        "tests/test_recurrent.py", "tests/test_drop_in.py", "tests/test_cell.py", "tests/test_step_form.py",
        "tests/test_torch_names.py", "tests/test_light_install.py",
    ),
    "engine": ("tests/engine", "tests/compat"),
    "probes": ("tests/probes", "tests/backward", "tests/numerics"),
    "diagnosis": ("tests/diagnosis", "tests/observe"),
    "models": ("tests/models",),
    "cells": ("tests/cells",),
    "mitigations": ("tests/mitigations",),
    "training": ("tests/training", "tests/monitor", "tests/test_tasks.py"),
    "command line": ("tests/test_main.py", "tests/studies"),
}  # fmt: skip
#: Runs the examples of a README with the Python that it is given to; the fences around them are no output.
EXAMPLES = """
import doctest, json, pathlib, re, sys
text = re.sub("^```.*$", "", pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"), flags=re.MULTILINE)
case = doctest.DocTestParser().get_doctest(text, {}, "README.md", sys.argv[1], 0)
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
runner.run(case)
print(json.dumps({"attempted": runner.tries, "failed": runner.failures}))
"""
ABOUT = """
import json, platform, torch
from importlib.metadata import distributions
names = ["numba", "numpy", "pytorch-lightning", "jaxtyping", "jsonargparse", "rich", "jinja2"]
found = {each.name.lower().replace("_", "-"): each.version for each in distributions()}
packages = {name: found[name] for name in names if name in found}
print(json.dumps({"python": platform.python_version(), "torch": torch.__version__, "packages": packages}))
"""


@dataclass(frozen=True)
class Environment:
    """A Python and a torch.

    Attributes:
        python: Its version, as in the name of its program.
        torch: "oldest" that is promised, "pinned" as in constraints.txt, or the "newest" that can be installed.
    """

    python: str
    torch: str

    @property
    def name(self) -> str:
        """As one names it on the command line."""
        return f"{self.python}-{self.torch}"

    @property
    def folder(self) -> Path:
        """Where it is while it is tried."""
        return WORK / self.name

    @property
    def bin(self) -> Path:
        """Where its programs are."""
        return self.folder / "venv" / ("Scripts" if os.name == "nt" else "bin")

    @property
    def requirement(self) -> str:
        """Torch, as pip is asked for it."""
        if self.torch == "oldest":
            oldest = re.search(r'"torch>=([\d.]+)"', (SOURCE / "pyproject.toml").read_text(encoding="utf-8"))
            return f"torch=={oldest[1]}.*" if oldest else "torch"
        pinned = re.search(r"^torch==.+$", (SOURCE / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
        return pinned[0] if self.torch == "pinned" and pinned else "torch"


ENVIRONMENTS = tuple(
    Environment(*each.split()) for each in ("3.11 oldest", "3.11 pinned", "3.11 newest", "3.12 newest", "3.13 newest")
)


def call(*command: str | Path, fine: tuple[int, ...] = (0,), **options: Any) -> str:
    """Run a command; returns what it prints. Where it ends otherwise than with a `fine` code, its last lines are the error."""
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"}
    ran = subprocess.run(
        list(map(str, command)),
        check=False,
        capture_output=True,
        text=True,
        env=environment | options.pop("env", {}),
        **options,
    )
    if ran.returncode not in fine:
        raise RuntimeError("\n".join((ran.stdout + ran.stderr).strip().splitlines()[-15:]))
    return ran.stdout


def interpreter(version: str) -> str | None:
    """The program of a version of Python: on the path, or among those that pyenv has."""
    beside = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    known = [shutil.which(f"python{version}"), *sorted(map(str, beside.glob(f"{version}.*/bin/python")))]
    for path in filter(None, known):
        said = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
            check=False,
            capture_output=True,
            text=True,
        )
        if said.stdout.strip() == version:  # one of pyenv's shims may lead nowhere
            return path
    return None


def begin() -> str:
    """Take the commit that is tried, and build it; returns it. One that was begun before is gone on with."""
    commit = WORK / "commit"
    if not commit.exists():
        shutil.rmtree(WORK, ignore_errors=True)
        SOURCE.mkdir(parents=True)
        head = call("git", "rev-parse", "--short", "HEAD", cwd=ROOT).strip()
        packed = subprocess.run(["git", "archive", head], cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(SOURCE, filter="data")
        call(sys.executable, "-m", "build", "--outdir", DIST, SOURCE)
        commit.write_text(head, encoding="utf-8")
    return commit.read_text(encoding="utf-8")


def make(environment: Environment) -> None:
    """Have a bare environment with torch and the package as a light install."""
    done = environment.folder / "made"
    if done.exists():
        return
    python = interpreter(environment.python)
    if python is None:
        raise RuntimeError(f"There is no Python {environment.python}: install it, or name others with --only.")
    shutil.rmtree(environment.folder, ignore_errors=True)
    call(python, "-m", "venv", environment.folder / "venv")
    pins = (SOURCE / "constraints.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in pins if line.partition("==")[0] not in FREE or environment.torch == "pinned"]
    (environment.folder / "constraints.txt").write_text("\n".join(kept), encoding="utf-8")
    install(environment, "pip")
    install(environment, environment.requirement, next(DIST.glob("*.whl")))
    done.touch()


def install(environment: Environment, *wanted: str | Path) -> None:
    """Install into an environment what is pinned as it is pinned."""
    options = ("--quiet", "--no-cache-dir", "--constraint", environment.folder / "constraints.txt")
    call(environment.bin / "python", "-m", "pip", "install", *options, *wanted, cwd=SOURCE)


def examples(environment: Environment) -> dict[str, Any]:
    """Run what the README shows, in an empty folder: its examples, and its commands on the files that it has written."""
    empty = environment.folder / "empty"
    empty.mkdir(exist_ok=True)
    own = {"RNNVANISH_CACHE": str(environment.folder / "compiled")}
    python, readme = environment.bin / "python", SOURCE / "README.md"
    found = json.loads(call(python, "-c", EXAMPLES, readme, cwd=empty, env=own).splitlines()[-1])
    text = readme.read_text(encoding="utf-8")
    for name, content in re.findall(r"^```python\n# (\S+\.py)\n(.+?)^```", text, re.MULTILINE | re.DOTALL):
        (empty / name).write_text(content, encoding="utf-8")
    shown = "".join(re.findall(r"^```sh\n(.+?)^```", text, re.MULTILINE | re.DOTALL))
    commands = [*COMMANDS, *re.findall(r"^rnnvanish [^#\n]+", shown, re.MULTILINE)]
    for words in commands:
        name, *rest = words.split()
        call(environment.bin / name, *rest, cwd=empty, env=own, fine=(0, 1))  # 1: the verdict is a bad one
    return {"passed": found["attempted"] - found["failed"] + len(commands), "failed": found["failed"]}


def tests(environment: Environment, targets: tuple[str, ...]) -> dict[str, Any]:
    """Run tests against the installed package."""
    report = environment.folder / "report.xml"
    report.unlink(missing_ok=True)
    own = {"RNNVANISH_CACHE": str(environment.folder / "compiled"), "OMP_NUM_THREADS": "1"}
    workers = ("--numprocesses", "2", "--dist", "worksteal")
    options = ("-q", "-p", "no:cacheprovider", f"--junitxml={report}", *workers)
    ran = subprocess.run(
        [str(environment.bin / "python"), "-m", "pytest", *options, *targets],
        check=False,
        cwd=SOURCE,
        env=os.environ | own,
        capture_output=True,
        text=True,
    )
    if ran.returncode not in (0, 1):
        raise RuntimeError("\n".join((ran.stdout + ran.stderr).strip().splitlines()[-15:]))
    (environment.folder / "log.txt").open("a", encoding="utf-8").write(ran.stdout)
    return outcome(report)


def outcome(report: Path) -> dict[str, Any]:
    """Count what a report of pytest in JUnit's form says."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    failures = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    found: dict[str, Any] = {"passed": len(cases) - len(failures) - skipped, "failed": len(failures)}
    if skipped:
        found["skipped"] = skipped
    if failures:
        found["failures"] = [f"{case.get('classname')}::{case.get('name')}" for case in failures]
    return found


def attempt(environment: Environment, part: str) -> dict[str, Any]:
    """Try a part in an environment that is made; what is more than a light install is brought when it is needed."""
    if part == "wheel":
        return examples(environment)
    if part == "sdist":
        install(environment, "--force-reinstall", "--no-deps", next(DIST.glob("*.tar.gz")))
        return examples(environment)
    full = environment.folder / "full"
    if not full.exists():
        wheel = next(DIST.glob("*.whl"))
        install(environment, "--force-reinstall", "--no-deps", wheel)
        install(environment, "--group", "test", f"rnnvanish[train,data,plot,log,cluster] @ {wheel.as_uri()}")
        full.touch()
    return tests(environment, PARTS[part])


def remembered() -> list[dict[str, Any]]:
    """What is known of each environment."""
    known: list[dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else []
    return known


def remember(entry: dict[str, Any]) -> None:
    """Keep what is known of an environment, in place of what was."""
    order = [each.name for each in ENVIRONMENTS]
    known = [each for each in remembered() if each["name"] != entry["name"]] + [entry]
    known.sort(key=lambda each: order.index(each["name"]) if each["name"] in order else len(order))
    draft = RECORD.with_suffix(".part")
    draft.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    draft.replace(RECORD)


def known_of(environment: Environment) -> dict[str, Any]:
    """What is known of an environment; at first nothing."""
    found = [each for each in remembered() if each["name"] == environment.name]
    return found[0] if found else {"name": environment.name, "parts": {}}


def left_of(environment: Environment, commit: str, parts: list[str]) -> list[str]:
    """The parts that were not tried at a commit."""
    known = known_of(environment)["parts"]
    return [part for part in parts if known.get(part, {}).get("commit") != commit]


def attempts(environment: Environment, commit: str, parts: list[str]) -> Iterator[str]:
    """Try what has not been tried; yields a line for each part."""
    left = left_of(environment, commit, parts)
    if not left:
        return
    make(environment)
    here = {"system": platform.system(), "machine": platform.machine()}
    for part in left:
        try:
            result = attempt(environment, part)
        except RuntimeError as error:
            result = {"passed": 0, "failed": 0, "error": str(error)}
        result |= {"commit": commit, "date": time.strftime("%Y-%m-%d")}
        about = json.loads(call(environment.bin / "python", "-c", ABOUT)) | here  # an extra has come with some parts
        known = known_of(environment)
        tried = known["parts"] | {part: result}
        remember(known | about | {"parts": {name: tried[name] for name in PARTS if name in tried}})
        yield f"{environment.name:<14}{part:<14}{result['passed']:>5} passed {result['failed']:>3} failed {result.get('error', '')}"
    shutil.rmtree(environment.folder)


def main(only: list[str], parts: list[str]) -> int:
    """Try all; returns 1 where something failed."""
    chosen = [each for each in ENVIRONMENTS if not only or each.name in only or each.python in only]
    commit = begin()
    for environment in chosen:
        try:
            for line in attempts(environment, commit, parts):
                print(line, flush=True)
        except RuntimeError as error:
            print(f"{environment.name}: {error}", flush=True)
    complete = not any(left_of(each, commit, parts) for each in chosen)
    if complete:
        shutil.rmtree(WORK)
    results = [known_of(each)["parts"][part] for each in chosen for part in parts if part in known_of(each)["parts"]]
    return int(not complete or any(each["failed"] or "error" in each for each in results))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="*", default=[], help="versions of Python, or 3.11-oldest and the like")
    options.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    given = options.parse_args()
    try:
        sys.exit(main(given.only, given.parts))
    except KeyboardInterrupt:
        sys.exit("Interrupted: the same command goes on.")
