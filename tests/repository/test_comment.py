"""What became worse is said at the pull request that made it so, once, as text that cannot be anything else."""

import json
import subprocess
from pathlib import Path

import pytest

from tools import comment

COMMIT = "abcdef0123456789"
TEXT = "* noise\nWORSE speed(GRU) at abcdef01: 2.00 times, 1 -> 2 x\n```\nCOULD NOT BE MEASURED memory() at abcdef01\n"


@pytest.fixture
def host(monkeypatch):
    """A `gh` that knows two pull requests, and what it was asked for."""
    asked = []

    def run(command, **options):
        assert command[0] == "gh"
        asked.append(command[1:])
        if command[1:3] == ["run", "download"]:
            Path(command[command.index("--dir") + 1], "comparison.txt").write_text(run.text)
        known = [{"number": 3, "headRefOid": "0" * 16}, {"number": 7, "headRefOid": COMMIT}]
        return subprocess.CompletedProcess(command, 0, json.dumps(known) if command[1:3] == ["pr", "list"] else "", "")

    run.text = TEXT
    monkeypatch.setattr(comment.subprocess, "run", run)
    run.posted = lambda: [each for each in asked if each[:2] == ["pr", "comment"]]
    return run


def test_what_is_worse_is_posted_once_where_it_belongs(host):
    comment.main("11", COMMIT)
    ((_, _, number, *options, body),) = host.posted()
    assert number == "7"
    assert options == ["--edit-last", "--create-if-none", "--body"]
    shown = [line for line in body.splitlines() if line.startswith("    ")]
    assert shown == [f"    {line}" for line in TEXT.splitlines() if line[0] in "WC"]
    assert "```" not in body


def test_nothing_is_posted_where_nothing_is_worse_or_nobody_listens(host):
    comment.main("11", "f" * 16)
    host.text = "12 numbers: 0 worse, 0 lost.\n"
    comment.main("11", COMMIT)
    assert host.posted() == []


def test_a_text_without_end_is_cut(host):
    host.text = "WORSE x\n" * 100_000
    comment.main("11", COMMIT)
    assert len(host.posted()[0][-1]) < 2 * comment.LONGEST
