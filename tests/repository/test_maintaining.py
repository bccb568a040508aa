"""The page for maintainers: every command, workflow and file that it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/maintaining.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
WORKFLOWS = {
    re.search(r"^name: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1]
    for path in (ROOT / ".github/workflows").glob("*.yml")
}
#: What a build makes, or a folder of results holds.
MADE = {"llms.txt", "nav.yml", "machine.json"}
#: Where a path may begin.
TOPS = [ROOT, ROOT / "src/rnnvanish", ROOT / ".github/workflows"]


def test_its_commands_are_those_of_make():
    named = set(re.findall(r"`make ([\w-]+)`", PAGE))
    assert len(named) > 5
    assert named <= TARGETS


def test_its_workflows_are_there():
    named = set(re.findall(r"workflows? \*(\w+)\*", PAGE))
    assert {"Release", "Site", "Nightly"} <= named <= WORKFLOWS


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w./-]+(?:\.[a-z]+|/))`", PAGE)) - MADE))
def test_its_files_are_there(name):
    assert any((top / name).exists() for top in TOPS), name
