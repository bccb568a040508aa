"""Run in a process of its own: the package where nothing is installed but what `pip install rnnvanish` brings.

Whatever else the environment has is hidden. Prints a line of JSON: what was imported, and what is said of each absence.
"""

import contextlib
import io
import json
import os
import pkgutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import MetadataPathFinder, PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def brought(wanted: list[str]) -> set[str]:
    """The packages that requirements bring, by their canonical names."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(each) for each in wanted]
    while todo:
        each = todo.pop()
        key = canonicalize_name(each.name), frozenset(each.extras)
        if key in found:
            continue
        found.add(key)
        with contextlib.suppress(PackageNotFoundError):  # of another platform
            for line in requires(each.name) or ():
                needed = Requirement(line)
                extras = ("", *each.extras)
                if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                    todo.append(needed)
    return {name for name, _ in found}


def hidden() -> set[str]:
    """The names under which the environment has what a light install has not."""
    light = brought(PROJECT["dependencies"]) | {"rnnvanish"}
    owners = packages_distributions()
    return {name for name, of in owners.items() if not light & {canonicalize_name(each) for each in of}}


#: What a light install knows on a command line.
COMMANDS = ["diagnose model.py:build --quick", "cells", "cells LSTM", "mitigations", "mitigations Chrono", "check 6.1"]


class Hiding:
    """Finds what Python finds, but nothing under hidden names."""

    def __init__(self) -> None:
        self.names, self.finders = hidden(), list(sys.meta_path)

    def find_spec(self, name: str, *rest: Any) -> ModuleSpec | None:
        """What the first finder knows of a module."""
        known = [] if name.partition(".")[0] in self.names else self.finders
        return next((spec for each in known if (spec := each.find_spec(name, *rest)) is not None), None)

    find_distributions = staticmethod(MetadataPathFinder.find_distributions)


def modules() -> Iterator[str]:
    """Every module of the package that does not need the extra `train`."""
    import rnnvanish

    for each in pkgutil.walk_packages(rnnvanish.__path__, "rnnvanish.", onerror=lambda name: None):
        if not each.name.startswith("rnnvanish.training"):
            yield each.name


def absences() -> dict[str, str]:
    """What is said where something is not installed."""
    import torch

    from rnnvanish import diagnose, tasks
    from rnnvanish.__main__ import main
    from rnnvanish.monitor import heat_map
    from rnnvanish.plots import success
    from rnnvanish.studies.export import _parquet

    def command(*words: str) -> str:
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
            code = main(list(words))
        return f"{code} {said.getvalue()}"

    layer, x = torch.nn.LSTM(2, 3), torch.randn(12, 2, 2)
    cases = {
        "monitor": lambda: import_module("rnnvanish").RetentionMonitor,
        "learner": lambda: import_module("rnnvanish.training.learner"),
        "diagnosis": lambda: diagnose(layer, x, quick=True).plot(),
        "success": lambda: success({"LSTM": {1: 1.0}}, "recall"),
        "heat map": lambda: heat_map.figure({}, [], "step"),
        "parquet": lambda: _parquet([{"a": 1}]),
        "digits": lambda: tasks.Digits().sample(2, torch.Generator(), "test"),
        "vowels": lambda: tasks.Vowels().sample(2, torch.Generator(), "test"),
        "sunspots": lambda: tasks.Sunspots().sample(2, torch.Generator(), "test"),
        "checkpoint": lambda: command("diagnose", "run.ckpt"),
        "train": lambda: command("train", "--cell", "GRU", "--task", "recall"),
        "sweep": lambda: command("sweep", "study.yaml", "--out", "sweep"),
        "workers": lambda: command("sweep", "study.yaml", "--workers", "2"),
        "tensorboard": lambda: command("sweep", "study.yaml", "--tensorboard"),
    }
    found = {}
    for name, case in cases.items():
        try:
            found[name] = str(case())
        except Exception as error:  # noqa: BLE001  # what a user would meet
            found[name] = f"{type(error).__name__}: {error}"
    return found


def works() -> dict[str, object]:
    """What a light install is for."""
    import torch

    from rnnvanish import Recurrent, cells, diagnose
    from rnnvanish.__main__ import main
    from rnnvanish.engine import run

    layer = Recurrent(cells.GRU, 2, 3, engine="cpu")
    layer(torch.randn(5, 2, 2))[0].sum().backward()
    compiled = [not isinstance(each, Exception) for each in run._programs.values()]
    found = diagnose(torch.nn.LSTM(2, 3), torch.randn(12, 2, 2), quick=True)
    found.to_html("report.html")
    found.to_json("report.json")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        codes = [main(words.split()) for words in COMMANDS]
    return {"compiled": compiled, "report": str(found), "codes": codes, "said": said.getvalue()}


if __name__ == "__main__":
    hiding = Hiding()
    sys.meta_path[:] = [hiding]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("study.yaml").write_text(
            "name: small\ncells: [GRU]\ntasks: [recall]\nlags: [4]\nlrs: [0.01]\nseeds: [0]\nsteps: 10\ncheck_every: 10\n"
        )
        Path("run.ckpt").write_bytes(b"")
        Path("model.py").write_text(
            "import torch\n\n\ndef build():\n    return torch.nn.LSTM(2, 3), torch.randn(12, 2, 2)\n"
        )
        imported = [import_module(name).__name__ for name in modules()]
        said = absences()
        print(json.dumps({"hidden": sorted(hiding.names), "imported": imported, "said": said, "works": works()}))
        os.chdir("/")
