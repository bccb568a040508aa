"""With which versions the package was tried, as `docs/versions.json` and the matrix of the workflow say."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

PLACE = re.compile(r'<div data-rv-versions="(states|tried)"></div>')
SYSTEMS = {"ubuntu": "Linux", "macos": "macOS", "windows": "Windows"}
#: What Python calls them.
NAMES = {"Linux": "Linux", "Darwin": "macOS", "Windows": "Windows"}
TORCHES = ("oldest", "pinned", "newest")
HERE, ELSEWHERE, NOWHERE = "tried here", "by the workflow only", "not tried"
ROW = Markup("<tr><th scope='row'>{}</th>{}</tr>")
CELL = Markup("<td>{}</td>")
TABLE = Markup("<table><caption>{}</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table>")
HEAD = Markup("<th scope='col'>{}</th>")


def put(page: str, root: Path) -> str:
    """Fill the places that a page keeps for the states and for what was tried."""
    tables = {"states": states, "tried": tried}
    return PLACE.sub(lambda found: str(tables[found[1]](root)), page) if PLACE.search(page) else page


def record(root: Path) -> list[dict[str, Any]]:
    """What came of each environment; `tools/versions.py` writes it."""
    found: list[dict[str, Any]] = json.loads((root / "docs/versions.json").read_text(encoding="utf-8"))
    return found


def promised(root: Path) -> tuple[list[str], dict[str, str]]:
    """The versions of Python that the package says it works with; and torch by what is promised of it."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pythons = [each.rpartition(" ")[2] for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)]
    oldest = next(each.removeprefix("torch>=") for each in project["dependencies"] if each.startswith("torch>="))
    pinned = re.search(r"^torch==(.+)$", (root / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None
    return pythons, {"oldest": oldest, "pinned": pinned[1], "newest": "that there is"}


def by_workflow(root: Path) -> Iterator[tuple[str, str, str]]:
    """System, Python and torch of each job of the workflow that runs the package's own tests."""
    jobs = yaml.safe_load((root / ".github/workflows/tests.yml").read_text(encoding="utf-8"))["jobs"]
    yield "Linux", jobs["everything"]["steps"][1]["with"]["python-version"], "pinned"
    matrix = jobs["package"]["strategy"]["matrix"]
    every = [
        {"system": system, "python": python, "torch": torch}
        for system in matrix["system"]
        for python in matrix["python"]
        for torch in matrix["torch"]
    ]
    for job in (*every, *matrix["include"]):
        torch = {"": "pinned", "torch": "newest"}.get(job["torch"], "oldest")
        yield SYSTEMS[job["system"].partition("-")[0]], job["python"], torch


def state_of(root: Path) -> dict[tuple[str, str, str], str]:
    """The state of every system, Python and torch that is promised."""
    found = {
        (system, python, torch): NOWHERE
        for system in SYSTEMS.values()
        for python in promised(root)[0]
        for torch in TORCHES
    }
    found |= dict.fromkeys(by_workflow(root), ELSEWHERE)
    known = record(root)
    every = {name for each in known for name in each["parts"]}
    for each in known:
        python, torch = each["name"].split("-")
        failed = sum(part["failed"] + ("error" in part) for part in each["parts"].values())
        rest = f", {failed} failed" if failed else ", in part" if every - set(each["parts"]) else ""
        found[NAMES[each["system"]], python, torch] = HERE + rest
    return found


def states(root: Path) -> str:
    """A row for each system and Python, a column for each torch."""
    pythons, torches = promised(root)
    found = state_of(root)
    rows = [
        ROW.format(
            f"{system}, Python {python}", Markup().join(_state(found[system, python, torch]) for torch in TORCHES)
        )
        for system in SYSTEMS.values()
        for python in pythons
    ]
    head = [
        "system",
        *(f"torch {torches[each]}, the {each}" if each != "newest" else "newest torch" for each in TORCHES),
    ]
    return TABLE.format("What is known of each version", Markup().join(map(HEAD.format, head)), Markup().join(rows))


def _state(said: str) -> Markup:
    return CELL.format(Markup("<strong>{}</strong>").format(said) if said.startswith(HERE) else said)


def tried(root: Path) -> str:
    """A row for each environment: its versions, what was tried, when."""
    rows = []
    for each in record(root):
        parts = each["parts"]
        passed = ", ".join(f"{name} {part['passed']}" for name, part in parts.items())
        failed = [f"{name} did not run" for name, part in parts.items() if "error" in part]
        failed += [f"{part['failed']} of {name}: {_files(part)}" for name, part in parts.items() if part["failed"]]
        when = dict.fromkeys(f"{part['date']}, {part['commit']}" for part in parts.values())
        beside = {"numba": "Numba", "pytorch-lightning": "Lightning"}
        names = [f"{beside[name]} {version}" for name, version in each["packages"].items() if name in beside]
        name = ", ".join(
            [f"Python {each['python']}", f"torch {each['torch']}", *names, f"{each['system']} {each['machine']}"]
        )
        cells = passed, "; ".join(failed) or "none", "; ".join(when)
        rows.append(ROW.format(name, Markup().join(map(CELL.format, cells))))
    return TABLE.format(
        f"{len(rows)} environments, each made anew",
        Markup().join(map(HEAD.format, ("environment", "passed", "failed", "on, at commit"))),
        Markup().join(rows),
    )


def _files(part: dict[str, Any]) -> str:
    """In which files of tests something failed; of examples of the README it is said where they ran."""
    names = dict.fromkeys(name.partition("::")[0].rpartition(".")[2] for name in part.get("failures", ()))
    return ", ".join(names) or "examples"
