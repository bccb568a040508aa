"""What is dear to make: of two workers that ask for it one makes it, and both have it."""

import os
import subprocess
import sys
from pathlib import Path

import made_once

ASKING = """
import os
from pathlib import Path

import pytest
from made_once import made_once

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def dear(tmp_path_factory):
    def make(folder):
        with (HERE / "made").open("a") as made:
            made.write("once ")
        folder.mkdir()
        (folder / "half").touch()
        assert not (HERE / "broken").exists(), "it is broken"
        (folder / "whole").touch()

    return made_once(tmp_path_factory, "dear", make)


@pytest.mark.parametrize("number", range(4))
def test_it_is_there(dear, number):
    (HERE / os.environ["PYTEST_XDIST_WORKER"]).touch()
    assert (dear / "whole").exists()
"""


def asked_by_two(folder):
    (folder / "test_asking.py").write_text(ASKING)
    options = ["--numprocesses", "2", "--dist", "load", "--basetemp", folder / "base", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", *options, folder],
        env=os.environ | {"PYTHONPATH": str(Path(made_once.__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_workers_have_what_one_has_made(tmp_path):
    done = asked_by_two(tmp_path)
    assert "4 passed" in done.stdout, done.stdout
    assert (tmp_path / "made").read_text() == "once "
    assert {"gw0", "gw1"} <= {path.name for path in tmp_path.iterdir()}


def test_what_fails_fails_every_test_with_its_words(tmp_path):
    (tmp_path / "broken").touch()
    done = asked_by_two(tmp_path)
    assert "4 errors" in done.stdout, done.stdout
    assert "it is broken" in done.stdout
