"""Old paths: each gives the very same object as the new one, and says so once, where it is asked for."""

import importlib
import io
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnnvanish.deprecated import MOVED

ROOT = Path(__file__).parent.parent
TABLE = "src/rnnvanish/deprecated.py"


#: One import a line, in a process of its own: the checks of types in these tests would stand between caller and callee.
THEIRS = """
import importlib, json, sys, warnings
told = []
for number, (old, new) in enumerate(json.loads(sys.argv[1]).items()):
    (module, _, name), (home, _, _) = old.rpartition("."), new.rpartition(".")
    scope = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(f"pass\\nfrom {module} import {name}", f"theirs{number}.py", "exec"), scope)
    same = scope[name] is getattr(importlib.import_module(home), new.rpartition(".")[2])
    told.append([old, same, [[each.category.__name__, str(each.message), each.filename, each.lineno] for each in caught]])
print(json.dumps(told))
"""


def test_every_old_path_gives_the_same_object_and_says_once_where_it_is_now():
    done = subprocess.run([sys.executable, "-c", THEIRS, json.dumps(MOVED)], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert [old for old, *_ in told] == list(MOVED)
    for number, (old, same, caught) in enumerate(told):
        assert same, old
        said = f"{old} is {MOVED[old]} now. The old path goes with the next version."
        assert caught == [["DeprecationWarning", said, f"theirs{number}.py", 2]]


def taken(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_a_module_that_is_no_more_can_be_imported_as_a_whole():
    import rnnvanish.learner as old

    with pytest.warns(DeprecationWarning, match=r"rnnvanish\.training\.learner\.Learner"):
        assert old.Learner is taken("rnnvanish.training.learner.Learner")


def test_what_never_was_is_not_found():
    import rnnvanish.learner as old

    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("rnnvanish.never")
    for module in (old, importlib.import_module("rnnvanish.diagnosis.cause")):
        with pytest.raises(AttributeError, match=r"has no attribute 'never'"):
            _ = module.never


def test_a_checkpoint_that_names_an_old_path_is_read():
    """As torch.save wrote a class, for example among the hyperparameters of a Lightning module."""
    from rnnvanish.tasks import Adding
    from rnnvanish.training.data import TaskData

    saved = {"hyper_parameters": {"data": TaskData(Adding(length=20), 4, 2, 0), "kind": TaskData}}
    written = pickle.dumps(saved, 0).replace(b"crnnvanish.training.data\n", b"crnnvanish.data\n")
    assert written.count(b"crnnvanish.data\n") > 0
    with pytest.warns(DeprecationWarning, match=r"rnnvanish\.training\.data\.TaskData"):
        read = pickle.loads(written)["hyper_parameters"]
    assert read["kind"] is TaskData
    assert isinstance(read["data"], TaskData)
    assert read["data"].task == Adding(length=20)


def test_torch_reads_one_too(monkeypatch):
    from rnnvanish.training.learner import Learner

    monkeypatch.setattr(Learner, "__module__", "rnnvanish.learner")  # as it was when the file was written
    file = io.BytesIO()
    with pytest.warns(DeprecationWarning, match="old path"):  # pickle looks whether it finds again what it writes
        torch.save({"hyper_parameters": {"kind": Learner}}, file)
    monkeypatch.undo()
    file.seek(0)
    with pytest.warns(DeprecationWarning, match=r"rnnvanish\.training\.learner\.Learner"):
        assert torch.load(file, weights_only=False)["hyper_parameters"]["kind"] is Learner


def test_nothing_is_imported_before_it_is_asked_for():
    code = (
        "import sys, rnnvanish; print(sorted(name for name in sys.modules if 'torch' in name or 'rnnvanish' in name))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['rnnvanish', 'rnnvanish.deprecated']"


def test_no_file_of_ours_uses_an_old_path():
    gone = {module for old in MOVED if not exists(module := old.rpartition(".")[0])}
    old = re.compile("|".join(rf"\b{re.escape(path)}\b" for path in gone | MOVED.keys()))
    imported = re.compile(r"^\s*(?:>>> )?from (rnnvanish[\w.]*) import \(?([\w, \n]+)", re.MULTILINE)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    files = [each for each in listed if each.endswith((".py", ".md", ".toml", ".yml", ".json", ".cff"))]
    found = []
    for each in set(files) - {TABLE, "tests/test_deprecated.py", "CHANGELOG.md"}:
        if "results" in each or not (ROOT / each).exists():
            continue
        text = (ROOT / each).read_text(encoding="utf-8")
        if each.startswith("bench/"):  # a benchmark says, after what it needs, what that was called at earlier commits
            text = re.sub(r'\bneed\(("[^"]*"), [^)]*\)', r"need(\1)", text)
        words = {f"{module}.{name.strip()}" for module, names in imported.findall(text) for name in names.split(",")}
        found += [f"{each}: {path}" for path in {*old.findall(text), *(words & (MOVED.keys() | gone))}]
    assert not found


def exists(module):
    path = ROOT / "src" / module.replace(".", "/")
    return path.with_suffix(".py").exists() or path.is_dir()
