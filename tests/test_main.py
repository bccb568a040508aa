"""The command line: its names, its exit codes, and what it does not import."""

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, mitigations, probes
from rnnvanish.__main__ import COMMANDS, main
from rnnvanish.console import to_json, wants_json
from rnnvanish.records.version import this_commit, version_and_commit

PARAMETERS = {"Elman": 64 * (1 + 64 + 2), "LSTM": 4 * 64 * (1 + 64 + 2), "GRU": 3 * 64 * (1 + 64 + 2)}


def test_cells_are_listed(capsys):
    assert main(["cells", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)["cells"]}
    assert set(listed) == set(cells.ALL)
    for name, row in listed.items():
        assert set(row) == {"name", "state", "paper", "parameters"}
        assert row["state"] == list(cells.ALL[name](1, 64).state_names)
        assert str(cells.ALL[name].paper.year) in row["paper"]
    assert {name: listed[name]["parameters"] for name in PARAMETERS} == PARAMETERS
    assert main(["cells"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(cells.ALL)
    assert max(map(len, lines)) <= 100


def test_a_cell_is_shown_with_its_equations_its_defaults_and_its_curve(capsys):
    assert main(["cells", "Elman"]) == 0
    said = capsys.readouterr().out
    assert "h ← φ(W x + b + U h + c)" in said
    assert "options      nonlinearity='tanh', bias=True" in said
    assert max(map(len, said.splitlines())) <= 120
    assert main(["cells", "Elman", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    torch.manual_seed(0)
    layer, x = Recurrent(cells.Elman, 8, 64), torch.randn(101, 4, 8)
    (curve,) = probes.retention(layer, x, lambda output: output[0][-1].sum()).values()
    assert document["gain"] == curve.gain.tolist()
    assert document["half_life"] == curve.half_life
    assert f"{curve.gain[5]:.2g}" in said
    assert main(["cells", "Ellman"]) == 2
    assert "Did you mean Elman?" in capsys.readouterr().err


def test_mitigations_are_listed(capsys):
    assert main(["mitigations", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)["mitigations"]}
    assert set(listed) == set(mitigations.ALL)
    assert listed["Chrono"]["options"] == "(span: float)"
    assert listed["Chrono"]["moment"] == "when weights are drawn"
    assert listed["ClipNorm"]["moment"] == "on the gradient"
    for name, row in listed.items():
        assert set(row) == {"name", "options", "moment", "needs", "summary", "invariant", "paper"}
        assert mitigations.ALL[name].paper.title in row["paper"]
    assert main(["mitigations"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    begun = [line for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert sorted(line.split()[0] for line in begun) == sorted(mitigations.ALL)
    heads = [line for line in lines if line.startswith("Acts ")]
    for name, row in listed.items():
        line = next(line for line in begun if line.split()[0] == name)
        above = [head for head in heads if lines.index(head) < lines.index(line)]
        assert row["moment"] in above[-1]
        assert " ".join(row["summary"].split()[:5]) in line


@pytest.mark.parametrize("name", mitigations.ALL)
def test_a_mitigation_is_shown_with_the_lines_to_use_it(name, capsys):
    """The lines run, on a network that it takes, and all that the catalogue knows of it is said."""
    assert main(["mitigations", name]) == 0
    said = capsys.readouterr().out
    assert main(["mitigations", name, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    cure, plain = mitigations.ALL[name], " ".join(said.split())
    for told in (cure.moment, cure.needs, cure.invariant, cure.checked, document["options"], str(cure.paper)):
        assert " ".join(told.split()) in plain
    whole = [*document["about"].splitlines(), *(f"    {line}" for line in (*document["usage"], document["train"]))]
    assert set(whole) <= set(said.splitlines())
    assert max(len(line) for line in said.splitlines() if line not in whole) <= 100
    network = document["train"].partition("--cell ")[2].partition(" --task")[0]
    kind = nn.RNN if network.startswith("Elman") else getattr(nn, network)
    model = kind(1, 4, **({"nonlinearity": "relu"} if "relu" in network else {}))
    typed = {
        "torch": torch,
        "step": 0,
        "model": model,
        "inputs": torch.randn(12, 2, 1),
        "loss": lambda output: output[0].sum(),
    }
    typed["loss"](model(typed["inputs"])).backward()
    exec("\n".join(document["usage"]), typed)  # noqa: S102  (the lines that are shown)


def test_a_mitigation_that_there_is_not(capsys):
    assert main(["mitigations", "Crono"]) == 2
    assert "There is no mitigation 'Crono'. Did you mean Chrono?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train --cell LSTN --task digits", ["no cell 'LSTN'. Did you mean LSTM?", "ATR"]),
        ("train --cell LSTM --task text8", ["no task 'text8'. Did you mean text?", "adding, copying, delayedxor"]),
        ("train --cell LSTM --task digits --hiden_size 3", ["Did you mean --hidden_size?", "--dropout, --engine"]),
        ("train --cell LSTM --task digits --hidden-size 3", ["Did you mean --hidden_size?"]),
        ("train --cell LSTM --task digits --hid 3", ["There are: --batch_size"]),
        ("train --cell LSTM --task digits --hidden_size x", ["--hidden_size: Expected a <class 'int'>. Got value: x"]),
        ("train --cell LSTM --task digits --skip dense", ["--skip", "'residual'"]),
        ("train --cell Elman --task adding --cell_options.nonlinearity rleu", ["tanh, sigmoid, relu", "got 'rleu'"]),
        ("train --cell Elman --task adding --task_options.size 3", ["adding has no option 'size'", "length"]),
        ("train --cell Elman --task adding --out /dev/null", ["/dev/null holds something that is no run"]),
        ("train --cell LSTM --task recall --mitigations Crono(9)", ["no mitigation 'Crono'. Did you mean Chrono?"]),
        (
            "train --cell LSTM --task recall --mitigations zebra",
            ["no mitigation 'zebra'. There are: ActivationRegularisation, "],
        ),
        ("train --cell LSTM --task recall --mitigations Chrono(spam=9)", ["no option 'spam'. Did you mean span?"]),
        ("train --cell LSTM --task recall --mitigations Chrono", ["Chrono(span: float)", "missing", "'span'"]),
        ("train --cell LSTM --task recall --mitigations OpenGate(1,2)", ["too many positional arguments"]),
        ("train --cell LSTM --task recall --mitigations OpenGate('x')", ["needs bias as float, got 'x'"]),
        ("train --cell LSTM --task recall --mitigations Chrono(1)", ["Chrono needs a span > 2 steps, got 1"]),
        ("train --cell LSTM --task recall --mitigations Chrono(", ["'Chrono(' is not written as in Python"]),
        ("train --cell LSTM --task recall --mitigations 1+2", ["'1+2' is not written as in Python"]),
        ("train --cell LSTM --task recall --mitigations Chrono(x)", ["'Chrono(x)' is not written as in Python"]),
        ("train --cell LSTM --task recall --mitigations NpRNN", ["NpRNN suits no layer of this model, which has LSTM"]),
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
        heavy = {"pytorch_lightning", "matplotlib", "numba", "sklearn", "aeon", "statsmodels", "pandas", "jinja2"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, stdout=subprocess.DEVNULL)


def test_run_as_a_module():
    command = [sys.executable, "-m", "rnnvanish", "trian"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("rnnvanish: there is no command 'trian'")


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rnnvanish {version_and_commit()}\n"
    assert main(["--version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": version("rnnvanish"), "commit": this_commit()}


COMMANDS_WITH_DOCUMENTS = [
    "cells", "cells Elman", "mitigations", "mitigations Chrono", "check", "check 5.1", "check 5.1 0.1",
    "claims --only multiplication.factors_compound", "sweep first --status", "sweep first --dry_run",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS_WITH_DOCUMENTS)
def test_a_document_says_which_rnnvanish_printed_it(capsys, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    assert main([*command.split(), "--json"]) < 2
    document = json.loads(capsys.readouterr().out)
    assert (document["version"], document["commit"]) == (version("rnnvanish"), this_commit())


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ("cells --json", True),
        ("cells --json true", True),
        ("cells --json=true", True),
        ("cells --json false", False),
        ("cells --json=False", False),
        ("cells", False),
        ("cells --json --help", False),
        ("", False),
    ],
)
def test_who_wants_json(args, wanted):
    assert wants_json(args.split()) is wanted


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("trian --json", "no command 'trian'"),
        ("--json", "unrecognized arguments"),
        ("cells --jsn --json", "Did you mean --json?"),
        ("mitigations --json perhaps", "--json"),
        ("train --cell LSTN --task digits --json", "no cell 'LSTN'"),
        ("train --cell LSTM --json", "--task"),
        ("train --cell LSTM --task recall --engine gpu --json", "no GPU here"),
        ("train --cell LSTM --task recall --hidden_size 1000000000000 --json", "memory"),
        ("train --cell LSTM --task recall --cell_options.hidden_size 3 --json", "no option 'hidden_size'"),
        ("train --cell LSTM --task recall --lr 1e300 --json", "cannot be trained together"),
        (f"train --cell LSTM --task recall --task_options.length {'9' * 23} --json", "cannot be trained together"),
        ("claims --only nothing --json", "no claim 'nothing'"),
        ("diagnose nothing.py:x --json", "There is no file nothing.py"),
        ("diagnose :x --json", "needs package.module:object"),
    ],
)
def test_an_error_is_a_document_too(capsys, tmp_path, monkeypatch, command, said):
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document.keys() == {"version", "commit", "error"}
    error = document["error"]
    assert said in error
    assert printed.err.endswith(f"rnnvanish: {error}\n")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(("end", "code"), [(KeyboardInterrupt, 130), (ZeroDivisionError, 2)])
def test_an_interruption_and_a_fault_of_ours(capsys, monkeypatch, end, code):
    def ends(json: bool = False):
        raise end

    monkeypatch.setitem(COMMANDS, "cells", ends)
    assert main(["cells", "--json"]) == code
    printed = capsys.readouterr()
    assert list(json.loads(printed.out)) == ["version", "commit", "error"]
    assert ("Traceback" in printed.err) == (code == 2)


def test_what_was_typed_does_not_command_the_terminal(capsys):
    for word in ("\x1b[31m", "a\nrnnvanish: fine", "\u202e", "\x9b1m"):
        for command in (["train", "--cell", word, "--task", "recall"], [word], ["diagnose", f"{word}.py:x"]):
            assert main(command) == 2
            printed = capsys.readouterr().err
            assert printed.count("\n") == 1
            assert printed[:-1].isprintable()


def test_numbers_that_json_does_not_know():
    assert to_json({"a": [float("nan"), (float("-inf"), 1.5)]}) == '{"a": [null, ["-infinity", 1.5]]}'


@pytest.fixture(scope="module")
def real():
    """Real processes, all at once: what they gave, by what was done to their output."""
    command = [sys.executable, "-m", "rnnvanish", "mitigations"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    with open("/dev/full", "w") as full:
        started = {
            "closed": subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True),
            "full": subprocess.Popen(command, stdout=full, stderr=subprocess.PIPE, text=True),
            "ascii": subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ascii_only
            ),
        }
    started["closed"].stdout.close()
    started["closed"].stdout = None
    return {name: (*process.communicate(timeout=120), process.returncode) for name, process in started.items()}


def test_a_reader_that_goes_away_is_no_fault(real):
    _, stderr, code = real["closed"]
    assert (stderr, code) == ("", 0)


def test_what_the_users_own_module_prints_to_a_reader_that_went_away_is_no_fault(tmp_path):
    (tmp_path / "model.py").write_text(
        "import torch\n"
        "def build():\n"
        "    print('building', flush=True)\n"
        "    return torch.nn.GRU(2, 8), torch.randn(30, 2, 2)\n"
    )
    command = [sys.executable, "-m", "rnnvanish", "diagnose", "model.py:build", "--out", "report"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    process.stdout.close()
    process.stdout = None
    _, stderr = process.communicate(timeout=120)
    assert (stderr, process.returncode) == ("", 1)  # it vanishes
    assert "vanishing" in (tmp_path / "report/report.txt").read_text()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux alone has it")
def test_where_nothing_can_be_written_it_says_so(real):
    _, stderr, code = real["full"]
    assert code == 2
    assert stderr == "rnnvanish: Standard output cannot be written: [Errno 28] No space left on device\n"


def test_a_letter_that_an_encoding_lacks_is_no_fault(real):
    stdout, stderr, code = real["ascii"]
    assert (stderr, code) == ("", 0)
    assert "\\xb2" in stdout  # a square
