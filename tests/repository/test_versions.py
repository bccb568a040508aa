"""`make test-versions`: what it counts, what it keeps, and how it goes on after it was stopped; no environment is made here."""

import json
import subprocess
import sys

import numba
import pytest
import pytorch_lightning
import torch

from tools import versions

REPORT = """<testsuites><testsuite>
<testcase classname="a" name="fine"/><testcase classname="a" name="left"><skipped/></testcase>
<testcase classname="a" name="wrong"><failure/></testcase><testcase classname="a" name="broken"><error/></testcase>
</testsuite></testsuites>"""


def test_a_report_of_tests_is_counted(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)
    found = {"passed": 1, "failed": 2, "skipped": 1, "failures": ["a::wrong", "a::broken"]}
    assert versions.outcome(tmp_path / "report.xml") == found
    (tmp_path / "report.xml").write_text('<testsuite><testcase classname="a" name="fine"/></testsuite>')
    assert versions.outcome(tmp_path / "report.xml") == {"passed": 1, "failed": 0}


def test_examples_are_counted_and_a_fence_is_no_output(tmp_path):
    (tmp_path / "README.md").write_text(
        "```pycon\n>>> 1 + 1\n2\n```\n\n```pycon\n>>> 1 + 2\n4\n\n```\n```python\nx = 1\n```\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", versions.EXAMPLES, "README.md"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == {"attempted": 2, "failed": 1}


def test_an_environment_says_what_it_has():
    ran = subprocess.run([sys.executable, "-c", versions.ABOUT], capture_output=True, text=True, check=True)
    about = json.loads(ran.stdout)
    assert about["torch"] == torch.__version__
    assert {"numba": numba.__version__, "pytorch-lightning": pytorch_lightning.__version__}.items() <= about[
        "packages"
    ].items()
    assert "jinja2" in about["packages"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A begun commit whose parts give what a test says; returns the environments and parts that were tried."""
    monkeypatch.setattr(versions, "WORK", tmp_path / "work")
    monkeypatch.setattr(versions, "SOURCE", tmp_path / "work/source")
    monkeypatch.setattr(versions, "RECORD", tmp_path / "versions.json")
    monkeypatch.setattr(versions, "call", lambda *command, **options: '{"python": "3.11.7", "torch": "2.0"}')
    monkeypatch.setattr(versions, "make", lambda environment: environment.folder.mkdir(parents=True, exist_ok=True))

    def begin():
        (tmp_path / "work").mkdir(exist_ok=True)
        return "abc"

    def attempt(environment, part):
        tried.append(f"{environment.name} {part}")
        result = tried.results.get(part, {"passed": 3, "failed": 0})
        if isinstance(result, BaseException):
            raise result
        return dict(result)

    class Tried(list):
        """What was tried; `results` says what comes of a part."""

    tried = Tried()
    tried.results = {}
    monkeypatch.setattr(versions, "begin", begin)
    monkeypatch.setattr(versions, "attempt", attempt)
    return tried


def test_what_was_stopped_goes_on_after_the_last_part_that_ended(project):
    project.results = {"sdist": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        versions.main(["3.11-pinned"], ["wheel", "sdist", "layers"])
    assert (versions.WORK / "3.11-pinned").exists()
    project.results = {}
    assert versions.main(["3.11-pinned"], ["wheel", "sdist", "layers"]) == 0
    assert [each.split()[1] for each in project] == ["wheel", "sdist", "sdist", "layers"]
    assert not versions.WORK.exists()
    (known,) = versions.remembered()
    assert list(known["parts"]) == ["wheel", "sdist", "layers"]
    assert known["parts"]["layers"]["commit"] == "abc"
    assert versions.main(["3.11-pinned"], ["wheel"]) == 0  # nothing is left to do
    assert len(project) == 4


@pytest.mark.parametrize("result", [RuntimeError("no room"), {"passed": 1, "failed": 1, "failures": ["a::b"]}])
def test_what_fails_is_kept_and_said(project, capsys, result):
    project.results = {"wheel": result}
    assert versions.main(["3.13"], ["wheel", "layers"]) == 1
    (known,) = versions.remembered()
    assert known["name"] == "3.13-newest"
    assert ("error" in known["parts"]["wheel"]) == isinstance(result, RuntimeError)
    assert known["parts"]["layers"]["passed"] == 3
    said = capsys.readouterr().out
    assert ("no room" in said) == isinstance(result, RuntimeError)


def test_a_later_commit_tries_a_part_again_and_keeps_the_others(project, monkeypatch):
    versions.main(["3.11-pinned"], ["wheel", "layers"])
    begin = versions.begin
    monkeypatch.setattr(versions, "begin", lambda: begin() and "def")
    project.results = {"layers": {"passed": 9, "failed": 0}}
    versions.main(["3.11-pinned"], ["layers"])
    (known,) = versions.remembered()
    assert [(part["passed"], part["commit"]) for part in known["parts"].values()] == [(3, "abc"), (9, "def")]


def test_each_environment_asks_for_its_torch(project):
    versions.SOURCE.mkdir(parents=True)
    (versions.SOURCE / "pyproject.toml").write_text('dependencies = ["torch>=2.11"]')
    (versions.SOURCE / "constraints.txt").write_text("torch==2.13.0\ntorchmetrics==1.0\n")
    asked = {each.name: each.requirement for each in versions.ENVIRONMENTS}
    assert asked["3.11-oldest"] == "torch==2.11.*"
    assert asked["3.11-pinned"] == "torch==2.13.0"
    assert asked["3.12-newest"] == asked["3.13-newest"] == "torch"


def test_a_python_is_found_by_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(versions.shutil, "which", lambda name: None)
    for name, said in (("3.12.1", "3.11"), ("3.12.2", "3.12")):  # the first is a shim that leads elsewhere
        program = tmp_path / "versions" / name / "bin/python"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\necho {said}\n")
        program.chmod(0o755)
    assert versions.interpreter("3.12") == str(tmp_path / "versions/3.12.2/bin/python")
    assert versions.interpreter("3.14") is None
