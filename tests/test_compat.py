"""A torch that has a private name no more: the plain loop or another way, the same numbers, and one line that says so."""

import ast
import json
import subprocess
import sys
import threading
from collections import OrderedDict, deque, namedtuple
from pathlib import Path

import missing_names
import pytest
import torch
from torch import nn
from torch.utils import _pytree

from rnnvanish import Recurrent, cells, compat, watch
from rnnvanish.diagnosis.cause import traced_step
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.engine import run

SOURCES = Path(compat.__file__).parent
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
#: The same, where there is nothing to say: a diagnosis of this model maps nothing, and the others cost next to nothing.
SILENT = {"torch.UntypedStorage._cdata", "torch.utils._pytree.tree_map", "torch._dynamo"}
#: Python asks for it while a step is watched, so nobody can hide it from outside: tested by itself.
WATCHED = {"torch._ops.OpOverload._schema"}
#: Without these no training is watched, and that is all.
PASSES = {
    "torch._C._current_graph_task_id",
    "torch.autograd.Variable._execution_engine.queue_callback",
    "torch.autograd.graph.Node._input_metadata",
}
#: Without these, no compiled loop.
LEFT = set(compat.PURPOSES) - COSTS - SILENT - WATCHED - PASSES


@pytest.fixture(scope="session")
def results():
    script = Path(missing_names.__file__)
    names = ["-", *(name for name in compat.PURPOSES if name not in WATCHED | PASSES)]
    found = subprocess.run([sys.executable, script, *names], capture_output=True, text=True, check=True)
    return {each.pop("name"): each for each in map(json.loads, found.stdout.splitlines())}


@pytest.mark.xdist_group("missing names")
@pytest.mark.parametrize("name", [name for name in compat.PURPOSES if name not in WATCHED | PASSES])
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
    assert compat.schema(torch.ops.aten.add_.Tensor).is_mutable
    with pytest.raises(compat.Missing, match="write"):
        compat.schema(object())


@pytest.mark.parametrize("name", sorted(PASSES))
def test_without_a_word_of_passes_no_training_is_watched(name, monkeypatch):
    if name.endswith("_input_metadata"):
        monkeypatch.setattr(compat, "backward_inputs", lambda node: compat._required("nowhere." + name)())
        monkeypatch.setitem(compat.PURPOSES, "nowhere." + name, compat.PURPOSES[name])
    else:
        found = compat._find
        monkeypatch.setattr(compat, "_find", lambda each: None if each == name else found(each))
    with pytest.raises(ValueError, match=f"watch cannot work with this torch: there is no way to .*{name}"):
        watch(nn.GRU(1, 1))


def test_without_a_trace_no_step_is_taken_apart(monkeypatch):
    def missing(*args, **options):
        raise RuntimeError("there is none")

    monkeypatch.setattr(traced_step, "make_fx", missing)
    (cause,) = causes(nn.GRU(2, 3), torch.randn(4, 1, 2)).values()
    assert set(cause.parts) == {"step", "loss"}
    assert cause.untaken == "it cannot be traced (there is none)"


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("options", [{}, {"bias": False, "num_layers": 3}, {"bidirectional": True, "num_layers": 2}])
def test_the_weights_of_a_layer_of_torch_by_name(kind, options):
    layer = kind(3, 4, **options)
    assert compat.weight_names(layer) == layer._flat_weights_names
    layer = nn.LSTM(3, 4, proj_size=2, **options)
    assert compat.weight_names(layer) == layer._flat_weights_names


Pair = namedtuple("Pair", ["first", "second"])


def plus_one(each):
    return each + 1 if isinstance(each, int) else each


def test_containers_are_walked_as_torch_walks_them(monkeypatch):
    packed = nn.utils.rnn.pack_sequence([torch.zeros(2, 1)])
    tree = [1, (2, {"b": 3, "a": [4]}), Pair(5, (6,)), deque([7]), OrderedDict(z=8, y=None), {9}, packed, slice(1)]
    ways = []
    for is_leaf in (None, lambda each: isinstance(each, tuple)):
        ways.append(([*map(id, compat.tree_leaves(tree, is_leaf))], compat.tree_map(plus_one, tree)))
        monkeypatch.setattr(compat, "_tree_leaves", None)
        monkeypatch.setattr(compat, "_tree_map", None)
        assert [*map(id, compat.tree_leaves(tree, is_leaf))] == [*map(id, _pytree.tree_leaves(tree, is_leaf=is_leaf))]
    assert str(ways[0][1]) == str(ways[1][1])
    assert isinstance(ways[1][1][2], Pair)
    assert isinstance(ways[1][1][4], OrderedDict)


#: What `compat` brings in, of tensors, storages and modules; and what the torch bridge gives by torch's names.
ATTRIBUTES = {name.rpartition(".")[2] for name in compat.PURPOSES} | {
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


def test_private_names_of_torch_stand_in_one_file():
    assert len(list(private_names(SOURCES / "compat.py"))) >= 10
    others = [path for path in SOURCES.rglob("*.py") if path.name != "compat.py"]
    assert [found for path in others for found in private_names(path)] == []


def test_a_trace_keeps_where_a_gradient_is_cut():
    """Torch 2.14 would take `detach` for the identity: half of a derivative more than there is."""
    traced = compat.make_fx(lambda x: x * x.detach())(torch.ones(2))
    x = torch.tensor([3.0, 4.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(traced(x).sum(), x)
    torch.testing.assert_close(gradient, x.detach())


@pytest.mark.parametrize(
    ("cuda", "gpu", "called"), [("13.0", False, True), ("13.0", True, False), (None, False, False)]
)
def test_what_a_trace_puts_in_place_belongs_to_the_thread_that_stays(monkeypatch, cuda, gpu, called):
    """Torch 2.11 for CUDA on a machine without a GPU frees it with the thread that compiled, and then ends the process."""
    threads = []
    monkeypatch.setattr(compat, "_guard_devices", lambda: threads.append(threading.current_thread()))
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(run, "_programs", {})
    Recurrent(cells.Elman, 2, 3, engine="cpu")(torch.randn(4, 1, 2))
    assert threads == [threading.current_thread()] * called
