"""`rnnvanish diagnose` of code that stops, prints, is interrupted, or has names that command a terminal."""

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

import rnnvanish
from rnnvanish import diagnose
from rnnvanish.__main__ import main
from rnnvanish.diagnosis.target import load_target

HOSTILE = """
import os
import sys

import torch
from torch import nn

print("at import")


class Reader(nn.Module):
    def __init__(self, does=lambda x: x, name="layer"):
        super().__init__()
        self.add_module(name, nn.GRU(2, 4))
        self.does = does

    def forward(self, x):
        print("in forward")
        (layer,) = self.children()
        return self.does(layer(x)[0])


class Stop(BaseException):
    pass


def stops(x=None):
    raise Stop("enough")


def leaves(x=None):
    sys.exit(0)


def interrupted():
    raise KeyboardInterrupt


def deep():
    return deep()


def key(x):
    return {}["\\x1b[31mkey\\n"]


def good():
    return Reader(), torch.randn(12, 2, 2)


def named():
    return Reader(name="a\\n\\x1b[31mhealthy\\u202e\\x9b<b>"), torch.randn(40, 2, 2)


def stops_in_forward():
    return Reader(stops), torch.randn(12, 2, 2)


def leaves_in_forward():
    return Reader(leaves), torch.randn(12, 2, 2)


def key_in_forward():
    return Reader(key), torch.randn(12, 2, 2)
"""


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text(HOSTILE)
    (tmp_path / "quits.py").write_text("exit()\n")
    (tmp_path / "interrupted.py").write_text("raise KeyboardInterrupt\n")
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "binary.py").write_bytes(b"\\x00\\xff")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("quits.py:x", "quits.py, line 1): it ended the program by sys.exit(None)"),
        ("broken.py:x", "broken.py, line 2): SyntaxError: invalid syntax"),
        ("binary.py:x", "SyntaxError"),
        ("hostile.py:leaves", "hostile.py, line 32): it ended the program by sys.exit(0)"),
        ("hostile.py:stops", "line 28): hostile.Stop: enough"),
        ("hostile.py:deep", "line 40): RecursionError: maximum recursion depth exceeded"),
        ("hostile.py:stops_in_forward", "line 28): hostile.Stop: enough"),
        ("hostile.py:leaves_in_forward", "line 32): it ended the program by sys.exit(0)"),
        ("hostile.py:key_in_forward", "line 44): KeyError: '\\x1b[31mkey\\n'"),
    ],
)
def test_whatever_the_users_code_does_the_command_ends_as_it_should(hostile, capsys, target, said):
    for options in ([], ["--json"]):
        assert main(["diagnose", target, *options]) == 2
        printed = capsys.readouterr()
        assert said in printed.err.splitlines()[-1]
        assert "Traceback" not in printed.err
    assert said in json.loads(printed.out)["error"]


@pytest.mark.parametrize("target", ["interrupted.py:x", "hostile.py:interrupted"])
def test_an_interruption_at_any_time(hostile, capsys, target):
    assert main(["diagnose", target, "--json"]) == 130
    document = json.loads(capsys.readouterr().out)
    assert document == {"version": rnnvanish.__version__, "commit": document["commit"], "error": "Interrupted."}


def test_json_stands_alone_whatever_the_users_code_prints(hostile, capsys):
    assert main(["diagnose", "hostile.py:good", "--json"]) == 0
    printed = capsys.readouterr()
    assert list(json.loads(printed.out)["layers"]) == ["layer/layer0/forward"]
    assert "at import" in printed.err
    assert "in forward" in printed.err


def test_json_stands_alone_in_a_process_of_its_own(tmp_path):
    """From C, from a child, and when the process ends."""
    (tmp_path / "loud.py").write_text(
        "import atexit, ctypes, os\n"
        "os.system('echo child')\n"
        "ctypes.CDLL(None).puts(b'C')\n"
        "atexit.register(print, 'end')\n"
    )
    command = [sys.executable, "-m", "rnnvanish", "diagnose", "loud.py:x", "--json"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "has no object 'x'" in json.loads(done.stdout)["error"]
    assert {"child", "C", "end"} <= set(done.stderr.splitlines())


def test_names_do_not_command_the_terminal(hostile, capsys):
    assert main(["diagnose", "hostile.py:named", "--full", "--out", "report"]) in (0, 1)
    printed = capsys.readouterr().out
    assert r"a\n\x1b[31mhealthy\u202e\x9b<b>/layer0/forward: " in printed
    text, page, data = ((hostile / "report" / f"report.{kind}").read_text() for kind in ("txt", "html", "json"))
    diagnosis = diagnose(*load_target("hostile.py:named"))
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(diagnosis)
    for shown in (printed, text, page, data, str(diagnosis), console.file.getvalue()):
        assert all(c.isprintable() for line in shown.split("\n") for c in line)
        assert not any(line.startswith("\x1b") for line in shown.split("\n"))
    assert "<b>" not in page
    assert next(iter(json.loads(data)["layers"])) == "a\n\x1b[31mhealthy\u202e\x9b<b>/layer0/forward"
