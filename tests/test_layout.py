"""The house from above: few files in a folder, each says in one sentence what it holds; bench has floors, too.

import-linter holds the package; it can't look into bench, whose folders are no packages so that asv finds no suites there.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: One file a thing, all alike.
CATALOGUES = {
    f"src/rnnvanish/{name}" for name in ("cells", "experiments", "mitigations", "probes", "tasks", "diagnosis/faults")
}
MODULES = sorted(path for top in ("src", "bench") for path in (ROOT / top).rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})
#: From the top down; those of one floor do not know each other.
FLOORS = [
    {"peers"},
    {"commands"},
    {"pages"},
    {"goals", "plugins"},
    {"stored"},
    {path.stem for path in (ROOT / "bench").glob("*.py")} - {"browser", "common"},  # suites
    {"browser"},
    {"common"},
]


def name(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_a_folder_can_be_seen_at_a_glance(folder):
    files = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    most = 17 if name(folder) == "src/rnnvanish" else 14
    assert name(folder) in CATALOGUES or len(files) <= most, f"{len(files)} files: {', '.join(sorted(files))}"


def test_catalogues_are_there():
    assert {name(folder) for folder in FOLDERS} >= CATALOGUES


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_file_says_in_its_first_sentence_what_it_holds(path):
    said = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]
    assert said, "No docstring: say in a sentence what it holds."
    assert re.search(r"[.?]$", said), f"It has no end: {said}"
    assert "\n" not in said, f"Its first sentence fills more than a line: {said}"
    assert not re.search(r"[.?!]['\"`)]* +\S", said), f"A line and a sentence; what follows belongs below: {said}"


def known(path):
    """What of bench a file of bench imports, by the first name below bench."""
    here, found = path.relative_to(ROOT).with_suffix("").parts, set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else ()
            module = (*base, *(node.module or "").split(".")) if node.module else base
            found |= {(*module, each.name) for each in node.names}
        elif isinstance(node, ast.Import):
            found |= {tuple(each.name.split(".")) for each in node.names}
    return {parts[1] for parts in found if parts[0] == "bench" and len(parts) > 1} - {here[1], "ROOT"}


def test_bench_has_floors():
    floor = {each: number for number, names in enumerate(FLOORS) for each in names}
    files = [path for path in MODULES if path.is_relative_to(ROOT / "bench") and path.parent.parent != ROOT.parent]
    up = [
        f"{name(path)} imports {other}"
        for path in files
        if (own := path.relative_to(ROOT / "bench").with_suffix("").parts[0]) != "__init__"
        for other in known(path)
        if floor[other] <= floor[own]
    ]
    assert not up
    assert any("common" in known(path) for path in files)
