"""One file a thing: whatever was written in a catalogue's folder is listed, tested and in the reference.

A test that fails here says what is missing, so CONTRIBUTING's table of what to add can be short.
"""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from rnnvanish.diagnosis import faults

ROOT = Path(__file__).parent.parent
#: The folder of a catalogue, and where its tests are.
CATALOGUES = {
    "cells": "tests",
    "diagnosis.faults": "tests",
    "experiments": "tests",
    "mitigations": "tests/mitigations",
    "probes": "tests",
    "tasks": "tests/test_tasks.py",
}
#: What the sections share, and none itself.
SHARED = {
    "command",
    "compiled_loops",
    "cure_pairs",
    "cure_prices",
    "cure_study",
    "cure_words",
    "direct",
    "learning",
    "small",
    "workbench",
}
REFERENCE = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))


def listed(catalogue):
    """What the folder's `__init__` has of its files: name -> module."""
    package = import_module(f"rnnvanish.{catalogue}")
    named = {name: getattr(package, name) for name in getattr(package, "__all__", ())}
    of_each = {
        name: getattr(value, "__module__", getattr(value, "__name__", ""))
        for name, value in (vars(package) | named).items()
    }
    return {name: module for name, module in of_each.items() if module.startswith(f"{package.__name__}.")}


def text_of_tests(catalogue):
    path = ROOT / CATALOGUES[catalogue]
    files = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    return "\n".join(each.read_text(encoding="utf-8") for each in files if each != Path(__file__))


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_what_was_written_is_listed(catalogue):
    folder = ROOT / "src/rnnvanish" / catalogue.replace(".", "/")
    written = (
        {path.stem for path in folder.glob("*.py")} - {"__init__"} - (SHARED if catalogue == "experiments" else set())
    )
    missing = written - {module.rpartition(".")[2] for module in listed(catalogue).values()}
    assert not missing, (
        f"{folder}/__init__.py lists nothing of {sorted(missing)}: import it there, and name it in `ALL` or `__all__` where there is one."
    )


def test_what_a_section_shares_is_no_section():
    assert {path.stem for path in (ROOT / "src/rnnvanish/experiments").glob("*.py")} > SHARED
    for name in SHARED:
        assert "@claim(" not in (ROOT / f"src/rnnvanish/experiments/{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("catalogue", ["cells", "mitigations", "probes", "tasks"])
def test_what_is_listed_is_in_the_reference(catalogue):
    package = import_module(f"rnnvanish.{catalogue}")
    paths = {f"{listed(catalogue)[name]}.{name}" for name in package.__all__ if name != "ALL"}
    shown = set(re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE))
    missing = (
        set() if f"rnnvanish.{catalogue}.*" in shown else paths - shown
    )  # the site puts all in the place of a star
    assert not missing, f"docs/reference/ has no `::: {min(missing)}`."


@pytest.mark.parametrize("catalogue", ["probes", "tasks"])  # what a cell owes: tests/cells/test_owed.py
def test_what_is_listed_has_a_test(catalogue):
    package, tests = import_module(f"rnnvanish.{catalogue}"), text_of_tests(catalogue)
    used = rf"\b{catalogue}\.%s\b|\b{catalogue} import (?:\([^)]*|.*)\b%s\b"  # not as a word in a string
    missing = [name for name in package.__all__ if name != "ALL" and not re.search(used % (name, name), tests)]
    assert not missing, f"{missing[0]} needs a test that is independent of it in {CATALOGUES[catalogue]}."


def names_of(node):
    """What the name of a fault can be, as patterns: of an f-string each hole is any words."""
    if isinstance(node, ast.IfExp):
        return [*names_of(node.body), *names_of(node.orelse)]
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return ["".join(re.escape(each.value) if isinstance(each, ast.Constant) else '[^"]+' for each in parts)]


def names_of_fault(fault):
    """The first argument of each `Symptom` in its file, as patterns."""
    source = ast.parse(Path(sys.modules[fault.__module__].__file__).read_text(encoding="utf-8"))
    calls = [each for each in ast.walk(source) if isinstance(each, ast.Call) and ast.unparse(each.func) == "Symptom"]
    return [name for call in calls for name in names_of(call.args[0])]


@pytest.mark.parametrize("fault", [*faults.ALL, *faults.OF_RUN, *faults.OF_MODEL], ids=lambda fault: fault.__name__)
def test_a_fault_has_a_test_that_sees_it(fault):
    """By its name, the first argument of `Symptom`."""
    names = names_of_fault(fault)
    assert names
    tests = text_of_tests("diagnosis.faults")
    assert any(re.search(f"[\"'*]{name}[\"'*]", tests) for name in names), f"No test sees a {fault.__name__}."


@pytest.mark.parametrize("fault", [*faults.ALL, *faults.OF_RUN, *faults.OF_MODEL], ids=lambda fault: fault.__name__)
def test_a_fault_has_a_section_with_lines_that_have_it_and_lines_that_do_not(fault):
    """The page runs them: the first lines print the finding, the last ones find nothing."""
    module, page = sys.modules[fault.__module__], (ROOT / "docs/mistakes.py").read_text(encoding="utf-8")
    stem = fault.__module__.rpartition(".")[2]
    asked = re.findall(r"^    print\((\*?)diagnose\(.*\)\.findings\)$", module.__doc__, re.MULTILINE)
    assert asked == ["*", ""], f"{stem}.py begins with lines that have the fault, words, and lines that do not."
    assert re.search(rf'[" ]{stem}[" ]', page), f"docs/mistakes.py names no {stem} in its GROUPS."
    names, said = {name for name in names_of_fault(fault) if "[" not in name}, " ".join(module.__doc__.split())
    unsaid = {name for name in names if not re.search(rf"\*\*{name}\*\*", said)} if len(names) > 1 else set()
    assert not unsaid, f"{stem}.py has several names: its words say {unsaid} in bold, so that the search finds it."
