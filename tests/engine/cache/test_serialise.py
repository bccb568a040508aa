"""Staged steps as data: all of a step comes back, and nothing that is read is more than data."""

import json
from dataclasses import replace

import pytest
import torch
from engine_steps import STEPS

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.engine.cache import disk, serialise
from rnnvanish.engine.cpu.codegen import CodeGenerator
from rnnvanish.engine.ir.parameters import named_weights
from rnnvanish.engine.ir.prologue import Call, Slot
from rnnvanish.engine.ir.values import Stage, Value
from rnnvanish.engine.plan import stage
from rnnvanish.engine.plan.phases import Place

NAME = "step-" + "0" * 32
X = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "folders", lambda: [tmp_path])
    return tmp_path


own = torch.library.Library("rnnvanish_test", "DEF")
own.define("half(Tensor weight) -> Tensor")  # who knows what it does


class Written(STEPS[0].__base__):
    """A step that computes from its weights by all that can stand among the arguments of an operation."""

    def forward(self, x, state):
        (h,) = state
        q, r = torch.linalg.qr(self.from_h.weight)  # several results, one name
        turn = torch.polar(torch.ones(4, 4), torch.tensor([[0.1, 0.2, 0.3, 0.4]]).expand(4, 4))  # complex numbers
        eye = torch.eye(8, dtype=q.dtype, device=q.device) * torch.full((), float("inf")).reciprocal()
        own = torch.where(torch.tensor([[True] * 7 + [False]]), q[torch.tensor([3, 1, 0, 2, 4, 5, 6, 7])], r)
        own = own + eye + torch.zeros(0, 8).sum() + torch.view_as_real(turn).reshape(4, 8).repeat(2, 1).to(q.dtype)
        norm = torch.linalg.matrix_norm(own, "fro") + torch.div(own, 0.3, rounding_mode="floor").mean(-1).std()
        return (torch.tanh(self.from_x(x) + h @ (own / norm)),)


@pytest.mark.parametrize("name", ["InComplexNumbers", "SidesBySide", "Written", "Zoneout"])
def test_all_of_a_step_comes_back(name):
    torch.manual_seed(0)
    if name == "Zoneout":
        cell = mitigations.Zoneout()(Recurrent(cells.GRU, 5, 8)).cells[0]
    else:
        cell = {step.__name__: step for step in (*STEPS, Written)}[name](5, 8)
    state = tuple(cell.initial_state(X))
    staged = stage.stage(cell, X, state, False)
    serialise.save(NAME, staged)
    found = serialise.load(NAME)
    assert content(found) == content(staged)
    for loop, again, back in ((staged.forward, found.forward, False), (staged.backward, found.backward, True)):
        widths = {place.buffer: 8 for place in staged.at.values()}
        texts = [CodeGenerator(each, widths | each.widths, back).body for each in (loop, again)]
        assert texts[0] == texts[1]
    weights = list(named_weights(dict(cell.named_modules())).values())
    assert all(map(torch.equal, found.prologue(*weights), staged.prologue(*weights)))


def content(staged):
    """All that a step consists of, a value by its place among all of them."""
    writer = serialise._Writer()
    return writer.data(staged), writer.values, bytes(writer.numbers)


def test_nothing_that_is_read_is_more_than_data(folder):
    """Each part of a step in turn is something else: it is the step of nobody then, or still one; nothing is run."""
    staged = stage.stage(Written(5, 8), X, (X.new_zeros(16, 8),), False)
    data, values, numbers = content(staged)
    odd = [
        "__import__('os').mkdir('here')",
        "a.b()",
        -1,
        10**9,
        0.5,
        True,
        None,
        [],
        {},
        [[]],
        {"slot": -1},
        {"dtype": "load"},
    ]
    places = list(leaves({"values": values, "staged": data}))
    read = 0
    for at, place in enumerate(places[::7]):
        whole = json.loads(json.dumps({"values": values, "staged": data}))
        put(whole, place, odd[at % len(odd)])
        disk.write(NAME, whole, numbers)
        found = serialise.load(NAME)
        read += found is not None
        for text in words(found and content(found)):
            assert serialise.WORD.fullmatch(text) or text.startswith("cpu")
    assert 0 < read < len(places) / 7 / 4
    for whole in (
        {"values": {}, "staged": data},
        {"values": values},
        {"unsupported": "\x1b[2J"},
        {"unsupported": 1},
        [],
        1,
    ):
        disk.write(NAME, whole, numbers)
        assert serialise.load(NAME) is None
    disk.write(NAME, {"values": values, "staged": data}, numbers[:-1])
    assert serialise.load(NAME) is None


def leaves(part, place=()):
    """Where the words and numbers of nested lists stand."""
    if not isinstance(part, list | dict):
        yield place
        return
    for key, each in part.items() if isinstance(part, dict) else enumerate(part):
        yield from leaves(each, (*place, key))


def put(whole, place, value):
    for key in place[:-1]:
        whole = whole[key]
    whole[place[-1]] = value


def words(part):
    if isinstance(part, str):
        yield part
    elif isinstance(part, list | tuple | dict):
        for each in part.values() if isinstance(part, dict) else part:
            yield from words(each)


@pytest.mark.parametrize("wrong", [-1, True, 1.0, "1"])
def test_what_counts_is_a_whole_number(wrong):
    for kind in (int, Value, Stage):
        with pytest.raises(ValueError, match="counts nothing"):
            serialise._Reader([], b"").read(kind, wrong)


def test_an_object_has_all_its_parts_and_no_more():
    assert serialise._Reader([], b"").read(Place, ["x", 0, 1]) == Place("x", 0, 1)
    constant = ["constant", [], [0.5], 1, 0, [1, 1], False]
    assert serialise._Reader([constant], b"").values[0].detail == (0.5,)
    for wrong in (["x", 0], ["x", 0, 0, 0]):
        with pytest.raises(ValueError, match="zip"):
            serialise._Reader([], b"").read(Place, wrong)
    with pytest.raises(ValueError, match="'a_word' is not"):  # it would be in the generated code
        serialise._Reader([[*constant[:2], ["a_word"], *constant[3:]]], b"")


@pytest.mark.parametrize(
    "operation",
    ["aten.from_file.default", "aten.save.default", "aten.add_.Tensor", "profiler._record_function_enter.default",
     "rnnvanish_test.half.default", "load_library", "import_module", "aten.mul", "aten.mul.Tensor.__call__", "__builtins__", "aten.nothing.default"],
)  # fmt: skip
def test_operations_that_do_more_than_compute_are_not_read(operation):
    staged = stage.stage(cells.ALL["Elman"](5, 8), X, (X.new_zeros(16, 8),), False)
    prologue = replace(staged.prologue, calls=(*staged.prologue.calls, Call(operation, ("here",))))
    data, values, numbers = content(replace(staged, prologue=prologue))
    disk.write(NAME, {"values": values, "staged": data}, numbers)
    assert serialise.load(NAME) is None


def test_what_cannot_be_written_as_data_is_not_kept(folder):
    staged = stage.stage(cells.ALL["Elman"](5, 8), X, (X.new_zeros(16, 8),), False)
    for odd in (
        Call("aten.add_.Tensor", ()),
        Call("rnnvanish_test.half.default", (Slot(0),)),
        Call("aten.mul.Tensor", (object(),)),
        Call("aten.mul.Tensor", ("a b",)),
    ):
        prologue = replace(staged.prologue, calls=(*staged.prologue.calls, odd))
        serialise.save(NAME, replace(staged, prologue=prologue))
        assert not list(folder.iterdir())
