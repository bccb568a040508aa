"""A torch that has a private name no more: the plain loop or another way, the same numbers, and one line that says so."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import missing_names
import pytest
import torch
from made_once import made_once

from rnnvanish import compat
from rnnvanish.compat import backward_pass
from rnnvanish.compat.private_names import PURPOSES, Missing
from rnnvanish.compat.tracing import schema

FOLDER = Path(compat.__file__).parent
#: Names without which another way gives the same, and a line says what it costs.
COSTS = {
    "torch.Tensor._lazy_clone",
    "torch._C._is_cow_tensor",
    "torch._C._data_address",
    "torch.Tensor._version",
    "torch._C._autograd._unsafe_set_version_counter",
    "torch.Tensor._backward_hooks",
    "torch.utils._pytree.tree_leaves",
}
#: The same, where there is nothing to say: this model draws nothing, its diagnosis maps nothing, the others cost little.
SILENT = {
    "torch.UntypedStorage._cdata",
    "torch.utils._pytree.tree_map",
    "torch._dynamo",
    "torch.fx.proxy._create_arg_bypass",
}
#: Python asks for it while a step is watched, so nobody can hide it from outside: tested by itself.
WATCHED = {"torch._ops.OpOverload._schema"}
#: Without these no training is watched, and that is all: test_backward_pass.py.
PASSES = {*backward_pass._FUNCTIONS, backward_pass._INPUTS}
#: Without these, no compiled loop.
LEFT = set(PURPOSES) - COSTS - SILENT - WATCHED - PASSES


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    def make(folder):
        folder.mkdir()
        names = ["-", *(name for name in PURPOSES if name not in WATCHED | PASSES)]
        command = [sys.executable, missing_names.__file__, *names]
        with (folder / "lines").open("w") as lines:
            subprocess.run(command, stdout=lines, check=True)

    lines = (made_once(tmp_path_factory, "missing names", make) / "lines").read_text().splitlines()
    return {each.pop("name"): each for each in map(json.loads, lines)}


@pytest.mark.parametrize("name", [name for name in PURPOSES if name not in WATCHED | PASSES])
def test_without_a_name_numbers_are_the_same_and_one_line_says_what_is_done_instead(name, results):
    found, usual = results[name], results["-"]
    assert usual["compiled"] == 1
    assert usual["said"] == []
    assert "error" not in found, found
    assert found["same"]
    assert found["rates"] == pytest.approx(usual["rates"], rel=1e-9)
    assert found["verdict"] == usual["verdict"]
    assert found["compiled"] == (name not in LEFT)
    assert len(found["said"]) == (name not in SILENT)
    for line in found["said"]:
        assert name in line
        assert torch.__version__ in line
        assert line.startswith("GRU runs as a plain Python loop") == (name in LEFT)


def test_without_a_schema_an_operation_is_refused():
    assert schema(torch.ops.aten.add_.Tensor).is_mutable
    with pytest.raises(Missing, match="write"):
        schema(object())


#: What `compat` brings in, of tensors, storages and modules; and what the torch bridge gives by torch's names.
ATTRIBUTES = {name.rpartition(".")[2] for name in PURPOSES} | {
    "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_flat_weights", "_flat_weights_names", "_is_replica",
    "_orig_mod", "_compiled_call_impl", "_trainer", "_C", "_pytree", "_decomp", "_functorch", "_python_dispatch", "_device", "_ops", "_dynamo",
}  # fmt: skip
PUBLIC = {"make_fx", "core_aten_decompositions", "get_decompositions", "tree_leaves", "tree_map", "is_tracing", "so"}


def private_names(path):
    """Where a file reads one of these names, or imports from a private module of torch."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            parts = [*node.module.split("."), *(each.name for each in node.names)]
            if any(part.startswith("_") or part == "experimental" for part in parts):
                yield path.name, ast.unparse(node)
        if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES - PUBLIC:
            yield path.name, ast.unparse(node)


def test_private_names_of_torch_stand_in_one_folder():
    own, others = set(FOLDER.glob("*.py")), set(FOLDER.parent.rglob("*.py"))
    assert sum(len(list(private_names(path))) for path in own) >= 10
    assert [found for path in sorted(others - own) for found in private_names(path)] == []
