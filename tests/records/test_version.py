"""Version and commit: of what was built, of what was installed from a repository, of a clone; none where nobody knows."""

import json
import subprocess
from importlib.metadata import version as installed
from pathlib import Path
from types import SimpleNamespace

import pytest

import rnnvanish
from rnnvanish.records import version


@pytest.fixture(autouse=True)
def asked_anew():
    version.this_commit.cache_clear()
    yield
    version.this_commit.cache_clear()


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_package_says_its_version():
    assert rnnvanish.__version__ == installed("rnnvanish")


def test_what_was_built_knows_its_commit_whatever_lies_around_it(monkeypatch, tmp_path):
    monkeypatch.setattr(version, "BUILT_FROM", tmp_path / "commit.txt")
    version.BUILT_FROM.write_text("89abcdef with changes")
    assert version.version_and_commit() == f"{rnnvanish.__version__}, commit 89abcdef with changes"


def test_what_was_installed_from_a_repository_knows_its_commit(monkeypatch):
    origin = {"url": "https://example.org/rnnvanish", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}
    stand_in = SimpleNamespace(read_text=lambda file: json.dumps(origin))
    monkeypatch.setattr(version, "distribution", lambda name: stand_in)
    assert version.this_commit() == "01234567"


def test_where_nobody_knows_the_version_stands_alone(monkeypatch):
    monkeypatch.setattr(version, "commit_of", lambda file: None)
    assert version.version_and_commit() == rnnvanish.__version__


def test_a_commit_is_that_of_the_file_and_says_when_it_was_changed(tmp_path):
    git(tmp_path, "init")
    file = tmp_path / "file.py"
    file.write_text("1\n")
    assert version.commit_of(file) is None  # not tracked
    git(tmp_path, "add", "file.py")
    git(tmp_path, "commit", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")[:8]
    assert version.commit_of(file) == head
    file.write_text("2\n")
    assert version.commit_of(file) == f"{head} with changes"
    assert version.commit_of(Path("/nowhere/file.py")) is None
