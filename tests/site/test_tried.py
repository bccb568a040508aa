"""The page of versions says of each what is known, and claims nothing that no record holds."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tools import versions
from tools.site import tried

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path):
    """A project with a record and a workflow of its own."""
    (tmp_path / "docs").mkdir()
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nclassifiers = ["Programming Language :: Python :: 3", "Programming Language :: Python :: 3.11", '
        '"Programming Language :: Python :: 3.12"]\ndependencies = ["numba>=1", "torch>=2.1"]\n'
    )
    (tmp_path / "constraints.txt").write_text("numba==1.0\ntorch==2.5\n")
    (tmp_path / ".github/workflows/tests.yml").write_text(
        "jobs:\n  everything:\n    steps: [{}, {with: {python-version: '3.11'}}]\n"
        "  package:\n    strategy:\n      matrix:\n"
        "        {system: [ubuntu-1], python: ['3.12'], torch: [''], include: [{system: macos-1, python: '3.11', torch: torch}]}\n"
    )
    part = {"passed": 7, "failed": 0, "commit": "abc", "date": "2026-01-02"}
    known = [
        {"name": "3.11-oldest", "python": "3.11.7", "torch": "2.1.0", "system": "Linux", "machine": "x86_64"}
        | {"packages": {"numba": "0.61", "numpy": "2.0", "pytorch-lightning": "2.6"}}
        | {"parts": {"wheel": part, "engine": part | {"failed": 1, "failures": ["tests.a.test_<b>::test_one[2]"]}}},
        {"name": "3.12-newest", "python": "3.12.1", "torch": "2.9.0", "system": "Linux", "machine": "x86_64"}
        | {"packages": {"numba": "0.62"}, "parts": {"wheel": part}},
    ]
    (tmp_path / "docs/versions.json").write_text(json.dumps(known))
    return tmp_path


def test_each_version_has_its_state(project):
    found = tried.state_of(project)
    assert len(found) == 3 * 2 * 3
    assert {key: said for key, said in found.items() if said != tried.NOWHERE} == {
        ("Linux", "3.11", "oldest"): "tried here, 1 failed",
        ("Linux", "3.12", "newest"): "tried here, in part",
        ("Linux", "3.11", "pinned"): tried.ELSEWHERE,
        ("Linux", "3.12", "pinned"): tried.ELSEWHERE,
        ("macOS", "3.11", "newest"): tried.ELSEWHERE,
    }
    whole = json.loads((project / "docs/versions.json").read_text())
    whole[1]["parts"]["engine"] = whole[1]["parts"]["wheel"]
    (project / "docs/versions.json").write_text(json.dumps(whole))
    assert tried.state_of(project)["Linux", "3.12", "newest"] == "tried here"


def test_tables_say_it_and_what_failed(project):
    page = tried.put('<div data-rv-versions="states"></div><div data-rv-versions="tried"></div>', project)
    assert page.count("<tr>") == 1 + 6 + 1 + 2
    assert "<th scope='row'>Linux, Python 3.12</th><td>not tried</td><td>by the workflow only</td>" in page
    assert "torch 2.1, the oldest" in page
    assert "Python 3.11.7, torch 2.1.0, Numba 0.61, Lightning 2.6, Linux x86_64<" in page
    assert "Python 3.12.1, torch 2.9.0, Numba 0.62, Linux x86_64<" in page
    assert "<td>wheel 7, engine 7</td><td>1 of engine: test_&lt;b&gt;</td><td>2026-01-02, abc</td>" in page
    assert tried.put("<p>x</p>", project) == "<p>x</p>"


def test_what_is_promised_here_was_tried_here():
    """Both packages installed, and what the README shows ran, in each environment."""
    found = {each["name"]: each["parts"] for each in tried.record(ROOT)}
    assert set(found) == {each.name for each in versions.ENVIRONMENTS}
    for name, parts in found.items():
        for package in ("wheel", "sdist"):
            assert parts[package]["passed"] > 0, name
            assert not parts[package]["failed"], name
    assert tried.NOWHERE in tried.state_of(ROOT).values()


def test_the_page_names_every_extra():
    page = (ROOT / "docs/versions.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sorted(project["optional-dependencies"])
