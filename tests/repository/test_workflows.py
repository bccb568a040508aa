"""What runs on the repository's host: it calls make, by pinned actions, with the least rights; forms ask for what helps."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
#: May write, each with its reason in the file.
WRITES = {
    ("docs", "contents"),
    ("comment", "pull-requests"),
    ("release", "id-token"),
}


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path):
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_make_and_nothing_else(path):
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert commands
    for command in commands:
        target = re.fullmatch(r"make ([\w-]+)( PYTHON=python)?", command)
        assert target, command
        assert re.search(rf"^{target[1]}:", MAKEFILE, re.MULTILINE), f"no make {target[1]}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_pinned_by_its_commit_and_says_its_version(path):
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert used
    assert [each for each in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


def test_an_action_has_one_pin_everywhere():
    used = {each for path in WORKFLOWS for each in re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))}
    assert len(used) == len({each.partition("@")[0] for each in used})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_right_that_it_does_not_need(path):
    held = read(path)
    assert held["permissions"] == {}
    given = {
        (path.stem, name)
        for job in held["jobs"].values()
        for name, right in job["permissions"].items()
        if right == "write"
    }
    assert given == {each for each in WRITES if each[0] == path.stem}


def test_only_the_repository_itself_publishes():
    for name in ("docs", "nightly", "release"):
        first = next(iter(read(ROOT / f".github/workflows/{name}.yml")["jobs"].values()))
        assert re.fullmatch(r"github\.repository == '([\w.-]+/[\w.-]+)?'", first["if"])


def test_every_python_and_the_oldest_torch_that_are_promised_are_tried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = {found[1] for each in project["classifiers"] if (found := re.search(r":: (3\.\d+)$", each))}
    matrix = read(ROOT / ".github/workflows/tests.yml")["jobs"]["package"]["strategy"]["matrix"]
    assert {*matrix["python"], *(each["python"] for each in matrix["include"])} == promised
    oldest = next(re.fullmatch(r"torch>=(.*)", each)[1] for each in project["dependencies"] if each.startswith("torch"))
    assert {each["torch"] for each in matrix["include"]} == {f"torch=={oldest}.*", "torch", ""}
    assert {each["system"].partition("-")[0] for each in matrix["include"]} == {"ubuntu", "macos", "windows"}


def test_no_index_is_named():
    for path in (*(ROOT / ".github").rglob("*.yml"), ROOT / "Makefile"):
        assert not re.search(r"https?://|index-url", path.read_text(encoding="utf-8")), path


def test_who_reports_a_fault_says_version_commit_and_report():
    asked = {each["id"]: each["attributes"] for each in read(ROOT / ".github/ISSUE_TEMPLATE/wrong.yml")["body"]}
    assert "`rnnvanish --version`" in asked["version"]["label"]
    assert "rnnvanish diagnose TARGET --json > report.json" in asked["report"]["description"]
