"""What `rnnvanish train` does about a folder that another holds, that is damaged, or that can't be written."""

import json
import os
import subprocess
import sys

import pytest

from rnnvanish.__main__ import main

SMALL = "train --cell GRU --task recall --hidden_size 3 --epochs 1 --steps_per_epoch 2 --batch_size 3 --json --out"


@pytest.fixture
def small(tmp_path):
    """A command, and the folder of the run that it has made."""
    command = [*SMALL.split(), str(tmp_path / "run")]
    assert main(command) == 0
    return command, tmp_path / "run"


#: Holds the lock of a folder until it is killed.
HOLDER = """
import sys, time
from rnnvanish.records.files import locked
file = open(sys.argv[1], "a")
print(locked(file.fileno()), flush=True)
time.sleep(300)
"""


def test_one_folder_takes_one_training_at_a_time(small, capsys):
    command, folder = small
    (folder / "result.json").unlink()
    before = (folder / "metrics.csv").read_bytes()
    process = subprocess.Popen([sys.executable, "-c", HOLDER, folder / ".lock"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "True\n"
        capsys.readouterr()
        assert main(command) == 2
        assert "is being trained by another process" in json.loads(capsys.readouterr().out)["error"]
        assert (folder / "metrics.csv").read_bytes() == before
    finally:
        process.kill()
        process.communicate()
    assert main(command) == 0  # what is dead holds nothing


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("options.json", b"[1]", "options.json holds a list"),
        ("options.json", b"nonsense", "options.json is no JSON"),
        ("options.json", b"\xff\xfe", "options.json is no JSON"),
        ("options.json", b"[" * 100_000, "options.json is no JSON"),
        ("options.json", b"{}", "holds a run with other options"),
        ("result.json", b"3", "result.json holds a int"),
        ("result.json", b"{}", "result.json is no result: task is missing or odd"),
        ("metrics.csv", b"a,b\n1,2\n", "metrics.csv is no table of a run"),
        ("metrics.csv", b"\xff\x00", "metrics.csv is no table of a run"),
    ],
)
def test_a_damaged_folder_is_refused_by_name(small, capsys, file, content, said):
    command, folder = small
    if file != "result.json":
        (folder / "result.json").unlink()
    (folder / file).write_bytes(content)
    capsys.readouterr()
    assert main(command) == 2
    printed = capsys.readouterr()
    assert said in json.loads(printed.out)["error"]
    assert "Traceback" not in printed.err
    assert (folder / file).read_bytes() == content


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(small, capsys):
    command, folder = small
    (folder / "result.json").unlink()
    os.mkfifo(folder / "result.json")
    capsys.readouterr()
    assert main(command) == 2
    assert "result.json is no file" in json.loads(capsys.readouterr().out)["error"]


def test_a_full_disk_ends_a_training_with_a_sentence(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning_fabric.plugins.io.torch_io._atomic_save", full)
    assert main([*SMALL.split(), str(tmp_path / "run")]) == 2
    printed = capsys.readouterr()
    assert "The training stopped at step 2: OSError: [Errno 28] No space left on device" in printed.err
    assert list(json.loads(printed.out)) == ["version", "commit", "error"]
    monkeypatch.undo()
    assert main([*SMALL.split(), str(tmp_path / "run")]) == 0
