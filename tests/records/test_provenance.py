"""Provenance: known inside of the repository, honest outside of it."""

import json
import subprocess
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

from rnnvanish.records import provenance


def test_every_part_is_known(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    found = provenance.provenance()
    assert found["date"] == "1970-01-02"
    assert set(found) == {"date", "rnnvanish", "commit", "processor", "threads", "torch", "python"}
    assert all(found.values())


def test_outside_of_a_repository_the_version_stands_alone(monkeypatch):
    monkeypatch.setattr(provenance, "commit", lambda file: "unknown")
    found = provenance.provenance()
    assert found["rnnvanish"] == version("rnnvanish")
    assert "commit" not in found


def test_what_was_installed_from_a_repository_knows_its_commit(monkeypatch):
    origin = {"url": "https://example.org/rnnvanish", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}
    monkeypatch.setattr(
        provenance, "distribution", lambda name: SimpleNamespace(read_text=lambda file: json.dumps(origin))
    )
    provenance.installed_from.cache_clear()
    assert provenance.provenance()["commit"] == "01234567"
    provenance.installed_from.cache_clear()


def test_a_commit_is_that_of_the_file_and_says_when_it_was_changed(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    file = tmp_path / "file.py"
    file.write_text("1\n")
    assert provenance.commit.__wrapped__(file) == "unknown"  # not tracked
    git("add", "file.py")
    git("commit", "-m", "first")
    head = git("rev-parse", "HEAD")[:8]
    assert provenance.commit.__wrapped__(file) == head
    file.write_text("2\n")
    assert provenance.commit.__wrapped__(file) == f"{head} with changes"
    assert provenance.commit(Path("/nowhere/file.py")) == "unknown"
