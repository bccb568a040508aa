"""What `pip install rnnvanish` brings is enough for what it is for; each absence of the rest is one sentence."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import light_install
import pytest

SOURCES = Path(__file__).parent.parent / "src"
EXTRAS = light_install.PROJECT["optional-dependencies"]
#: What is missing, and the extra that brings it.
ABSENT = {
    "monitor": "train",
    "learner": "train",
    "checkpoint": "train",
    "train": "train",
    "sweep": "train",
    "diagnosis": "plot",
    "success": "plot",
    "heat map": "plot",
    "digits": "data",
    "vowels": "data",
    "sunspots": "data",
    "parquet": "cluster",
    "workers": "cluster",
    "tensorboard": "log",
}
#: Who may import Lightning when it is imported itself; all others where it is used.
TRAINING = {
    f"rnnvanish/training/{name}.py"
    for name in ("monitor", "until_solved", "runs", "data", "command", "learner", "checkpoints")
}


@pytest.fixture(scope="module")
def found():
    ran = subprocess.run([sys.executable, light_install.__file__], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def test_much_is_hidden_and_what_is_needed_is_not(found):
    assert {"pytorch_lightning", "lightning_fabric", "torchmetrics", "matplotlib", "sklearn", "ray"} <= {
        *found["hidden"]
    }
    assert not {"torch", "numba", "llvmlite", "numpy", "yaml", "jinja2", "rich", "rnnvanish"} & {*found["hidden"]}


def test_every_module_but_those_of_training_can_be_imported(found):
    for name in ("cells.lstm", "engine.run", "probes.curve", "diagnosis.command", "studies.command", "monitor.watch"):
        assert f"rnnvanish.{name}" in found["imported"]


def test_it_does_what_it_is_for(found):
    works = found["works"]
    assert works["compiled"] == [True]
    assert "LSTM/layer0/forward" in works["report"]
    assert works["codes"] == [0] * len(light_install.COMMANDS)


@pytest.mark.parametrize("name", ABSENT)
def test_an_absence_is_one_sentence_that_says_what_to_install(found, name):
    said, extra = found["said"][name], ABSENT[name]
    assert re.fullmatch(
        r'(NotInstalled:|2 rnnvanish:) \S.* needs \w+: pip install "rnnvanish\[\w+\]" brings it\.\n?', said
    )
    assert f"rnnvanish[{extra}]" in said
    assert extra in EXTRAS
    assert set(found["said"]) == set(ABSENT)


def test_lightning_is_imported_where_it_is_used():
    """At the top of a module only in training, so that nothing else waits for it."""
    early = set()
    for path in sorted(SOURCES.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body if "lightning" in text else ():
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if any(name.startswith(("pytorch_lightning", "lightning")) for name in names):
                early.add(path.relative_to(SOURCES).as_posix())
    assert early == TRAINING


def test_all_that_there_is_can_be_installed_at_once():
    (every,) = EXTRAS["all"]
    assert set(every.removeprefix("rnnvanish[").removesuffix("]").split(",")) == set(EXTRAS) - {"all", "gpu"}
