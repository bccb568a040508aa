"""The command line: its names, its exit codes, and what it does not import."""

import json
import subprocess
import sys

import pytest

from rnnvanish import cells
from rnnvanish.__main__ import COMMANDS, main

PARAMETERS = {"Elman": 64 * (1 + 64 + 2), "LSTM": 4 * 64 * (1 + 64 + 2), "GRU": 3 * 64 * (1 + 64 + 2)}


def test_cells_are_listed(capsys):
    assert main(["cells", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(cells.ALL)
    for name, row in listed.items():
        assert set(row) == {"name", "state", "paper", "parameters"}
        assert row["state"] == list(cells.ALL[name].state_names)
        assert str(cells.ALL[name].paper.year) in row["paper"]
    assert {name: listed[name]["parameters"] for name in PARAMETERS} == PARAMETERS
    assert main(["cells"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == sorted(cells.ALL)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train --cell LSTN --task digits", ["no cell 'LSTN'. Did you mean LSTM?", "Elman, GRU, LSTM"]),
        ("train --cell LSTM --task text8", ["no task 'text8'. Did you mean text?", "adding, copying, digits"]),
        ("train --cell LSTM --task digits --hiden_size 3", ["Did you mean --hidden_size?", "--dropout, --engine"]),
        ("train --cell LSTM --task digits --hidden-size 3", ["Did you mean --hidden_size?"]),
        ("train --cell LSTM --task digits --hid 3", ["There are: --batch_size"]),
        ("train --cell LSTM --task digits --hidden_size x", ["--hidden_size: Expected a <class 'int'>. Got value: x"]),
        ("train --cell LSTM --task digits --skip dense", ["--skip", "'residual'"]),
        ("train --cell Elman --task adding --cell_options.nonlinearity rleu", ["tanh, sigmoid, relu", "got 'rleu'"]),
        ("train --cell Elman --task adding --task_options.size 3", ["adding has no option 'size'", "length"]),
        ("train --cell Elman --task adding --out /dev/null", ["/dev/null holds something that is no run"]),
        ("train --cell LSTM", ["required: --task"]),
        ("trian", ["no command 'trian'. Did you mean train?", "cells"]),
        ("cells --jsn", ["Did you mean --json?"]),
        ("", ["cells"]),
    ],
)
def test_wrong_use_exits_with_2_and_lists_what_there_is(capsys, command, said):
    assert main(command.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    for words in said:
        assert words in printed.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help(capsys, command):
    """Every option of every command says what it is for."""
    assert main([command, "--help"]) == 0
    _, _, options = capsys.readouterr().out.partition("options:")
    for option in options.split("\n  -")[1:]:
        words = " ".join(option.split()).partition("(type:")[0].partition("(required")[0].split()
        assert len(words) > 4, option


def test_light_commands_do_not_import_heavy_packages():
    code = """if True:
        import sys
        import rnnvanish
        from rnnvanish.__main__ import main
        assert main(["cells"]) == 0
        assert main(["train", "--cell", "LSTN", "--task", "digits"]) == 2
        heavy = {"pytorch_lightning", "matplotlib", "numba", "sklearn", "aeon", "statsmodels", "pandas"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, stdout=subprocess.DEVNULL)


def test_run_as_a_module():
    command = [sys.executable, "-m", "rnnvanish", "trian"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("rnnvanish: there is no command 'trian'")
