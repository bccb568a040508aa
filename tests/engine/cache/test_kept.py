"""Staged steps that are kept on disk: found again, and never mistaken for another."""

import ctypes
import importlib
import math
import sys
from functools import cache

import pytest
import torch

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.engine import run as engine_run
from rnnvanish.engine.cache import disk, serialise
from rnnvanish.engine.cache.fingerprint import fingerprint
from rnnvanish.engine.cpu import cpu_loop, machine_code
from rnnvanish.engine.cpu.codegen import HEADER
from rnnvanish.engine.ir.parameters import parametrized_weights, private_copy
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.plan import stage

X, LENGTHS = torch.randn(40, 16, 5, generator=torch.Generator().manual_seed(0)), torch.arange(25, 41)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Steps are kept here; the loops that are compiled of them where they always are."""
    everywhere = disk.folders()
    monkeypatch.setattr(disk, "folders", lambda: [tmp_path])

    @cache
    def compiled(text):
        with monkeypatch.context() as patch:
            patch.setattr(disk, "folders", lambda: everywhere)
            return machine_code.load_or_compile(text)

    monkeypatch.setattr(cpu_loop, "load_or_compile", compiled)
    return tmp_path


@pytest.fixture
def process(monkeypatch):
    """Run a layer as a new process would: its numbers, the text of its loops, and how often it was traced."""

    def run(layer, lengths=None):
        monkeypatch.setattr(engine_run, "_programs", {})
        traced = []
        monkeypatch.setattr(stage, "trace", lambda *args: traced.append(1) or trace(*args))
        x = X.clone().requires_grad_()
        torch.manual_seed(1)
        output, _ = layer(x, lengths=lengths)
        numbers = [output, *torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])]
        (program,) = engine_run._programs.values()
        texts = (
            []
            if isinstance(program, Unsupported)
            else [loop.generator.body for loop in (program.forward_loop, program.backward_loop)]
        )
        return numbers, texts, len(traced)

    trace = stage.trace
    return run


def equal(ours, theirs):
    return all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def built(name, cell="GRU"):
    torch.manual_seed(0)
    layer = Recurrent(cells.ALL[cell], 5, 8)
    return getattr(mitigations, name)()(layer) if name else layer


@pytest.mark.parametrize(
    ("name", "lengths"), [(None, None), (None, LENGTHS), ("Zoneout", None), ("OrthogonalConstraint", LENGTHS)],
    ids=["plain", "lengths", "draws", "parametrized, lengths"],
)  # fmt: skip
def test_what_is_found_is_what_was_traced(name, lengths, process):
    """The same numbers to the last bit, random ones and gradients of parametrized weights too, by the same loops."""
    traced, again = process(built(name), lengths), process(built(name), lengths)
    assert (traced[2], again[2]) == (1, 0)
    assert equal(traced[0], again[0])
    assert traced[1] == again[1]


def test_of_a_cell_that_cannot_be_staged_the_reason_is_kept(process, caplog, monkeypatch):
    class Sorted(cells.ALL["Elman"]):
        def forward(self, x, state):
            return (super().forward(x, state)[0].sort(dim=-1).values,)

    found = []
    for _ in range(2):
        monkeypatch.setattr(engine_run, "_logged", set())
        caplog.clear()
        found.append((process(Recurrent(Sorted, 5, 8))[2] > 0, caplog.messages))
    assert [traced for traced, _ in found] == [True, False]
    assert found[0][1] == found[1][1] != []


class Gated(cells.ALL["Elman"]):
    """A step that cuts the gradient, or not, by the same operations."""

    cuts = False

    def forward(self, x, state):
        with torch.set_grad_enabled(not self.cuts and torch.is_grad_enabled()):
            gate = torch.sigmoid(x[:, :1])
        return (gate * super().forward(x, state)[0],)


def test_what_no_operation_tells_is_seen_by_the_comparison(process, caplog):
    """Both are known by one name, and what is kept there is right for one of them alone."""
    torch.manual_seed(0)
    layer = Recurrent(Gated, 5, 8)
    assert [process(layer)[2] for _ in range(2)] == [1, 0]
    layer.cells[0].cuts = True
    ours, texts, traced = process(layer)
    assert (texts, traced) == ([], 1)
    assert "cut the gradient" in caplog.text
    layer.engine = "reference"
    x = X.clone().requires_grad_()
    assert torch.equal(torch.autograd.grad(layer(x)[0].square().sum(), x)[0], ours[1])
    layer.engine, layer.cells[0].cuts = "auto", False
    assert process(layer)[2] == 0


def test_looking_leaves_buffers_and_random_numbers_as_they_are():
    layer = built("Zoneout", "Elman")
    torch.nn.utils.parametrizations.spectral_norm(layer.cells[0].cell.from_h)  # a step of it writes into buffers
    values = parametrized_weights(dict(layer.cells[0].named_modules()))
    before = {name: each.clone() for name, each in layer.state_dict().items()}, torch.get_rng_state()
    fingerprint(private_copy(layer.cells[0], values), X[0], (torch.zeros(16, 8),), False)
    for name, each in layer.state_dict().items():
        assert torch.equal(each, before[0][name])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_machine_code_that_calls_what_is_not_there_is_compiled_anew(folder):
    """To load it would end the process."""
    text = HEADER.format(t="float64", size=8) + "    store(addresses[0], 0, 0, tanh(load(addresses[0], 0, 0)))\n"

    def tanh():
        machine_code.load_or_compile.cache_clear()
        number = ctypes.c_double(0.5)
        machine_code.load_or_compile(text)((ctypes.c_int64 * 1)(ctypes.addressof(number)), None, 0, 0, 0, 0, 0, 0)
        return number.value

    assert tanh() == pytest.approx(math.tanh(0.5), rel=1e-14)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    about, code = disk.read(path.name)
    assert about["calls"] == []
    for wrong in (
        (about | {"calls": ["nobody_has_a_function_of_this_name"]}, code),
        (about | {"calls": [1]}, code),
        (about | {"function": "nobody_has_a_function_of_this_name"}, code),
        ([], code),
    ):
        disk.write(path.name, *wrong)
        assert tanh() == pytest.approx(math.tanh(0.5), rel=1e-14)
        assert disk.read(path.name) != wrong
    path.write_bytes(whole[:-1])
    assert tanh() == pytest.approx(math.tanh(0.5), rel=1e-14)


SOURCE = """
import torch
from rnnvanish.cells import Elman
FACTOR = torch.tensor(FACTOR_OF_TENSOR)
def helper(h): return HELPER * h
class Mine(Elman):
    setting = SETTING
    def forward(self, x, state):
        (h,) = super().forward(x, state)
        return (FACTOR * helper(h) * self.setting + LITERAL,)
"""


def test_what_a_step_computes_from_is_what_it_is_known_by(tmp_path, process, monkeypatch):
    """A number in its source, of its class, of its module, of a function that it calls: the comparison with the plain
    loop would not see so small a change."""
    monkeypatch.syspath_prepend(tmp_path / "source")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "source").mkdir()
    names = ("FACTOR_OF_TENSOR", "HELPER", "SETTING", "LITERAL")

    def mine(changed=None):
        text = SOURCE
        for name in names:
            text = text.replace(name, "0.50001" if name == changed else "0.5")
        (tmp_path / "source" / "my_cells.py").write_text(text)
        sys.modules.pop("my_cells", None)
        importlib.invalidate_caches()
        torch.manual_seed(0)
        return Recurrent(importlib.import_module("my_cells").Mine, 5, 8).double()

    def name(layer):
        return fingerprint(layer.cells[0], X[0].double(), (torch.zeros(16, 8).double(),), False)

    assert name(mine()) == name(mine())
    assert len({name(mine(changed)) for changed in (None, *names)}) == 1 + len(names)
    monkeypatch.setattr(sys.modules[__name__], "X", X.double())
    assert [process(mine())[2] for _ in range(2)] == [1, 0]
    layer = mine("LITERAL")
    (ours, *_), _, traced = process(layer)
    layer.engine = "reference"
    assert traced == 1
    torch.testing.assert_close(ours, layer(X)[0], rtol=1e-11, atol=1e-11)
    sys.modules.pop("my_cells")


def test_a_file_that_is_damaged_or_of_another_cell_is_traced_anew(folder, process):
    numbers, _, _ = process(built(None))
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    process(built(None, "LSTM"))
    (other,) = set(folder.iterdir()) - {path}
    for content in (whole[:-10] + bytes(10), whole[:50], b"", other.read_bytes()):
        path.write_bytes(content)
        again = process(built(None))
        assert again[2] == 1
        assert equal(again[0], numbers)
        assert path.read_bytes() != content
        assert process(built(None))[2] == 0


def test_a_kept_step_that_is_not_the_cells_is_replaced(folder, process):
    """However it came there: every program is held against its cell before it is used."""
    relu = Recurrent(cells.ALL["Elman"], 5, 8, nonlinearity="relu")
    wrong = stage.stage(relu.cells[0], X[0], (X.new_zeros(16, 8),), False)
    torch.manual_seed(0)
    numbers, _, _ = process(built(None, "Elman"))
    (path,) = folder.iterdir()
    serialise.save(path.name, wrong)
    again = process(built(None, "Elman"))
    assert again[2] == 1
    assert equal(again[0], numbers)
    assert process(built(None, "Elman"))[2] == 0


def test_without_a_folder_that_can_be_written_each_process_traces(folder, process, monkeypatch):
    (folder / "a file").touch()
    monkeypatch.setattr(disk, "folders", lambda: [folder / "a file" / "cache"])
    traced, again = process(built(None)), process(built(None))
    assert (traced[2], again[2]) == (1, 1)
    assert equal(traced[0], again[0])
    # Beside one that can: that.
    monkeypatch.setattr(disk, "folders", lambda: [folder / "a file" / "cache", folder])
    assert [process(built(None))[2] for _ in range(2)] == [1, 0]


def test_the_name_counts_dtypes_shapes_and_masks():
    layer = Recurrent(cells.ALL["GRU"], 5, 8)
    cell, state = layer.cells[0], (torch.zeros(16, 8),)
    names = [fingerprint(cell, X[0], state, masked) for masked in (False, True)]
    assert fingerprint(cell, torch.randn(3, 5), (torch.randn(3, 8),), False) == names[0]  # neither values nor batch
    names.append(fingerprint(cell.double(), X[0].double(), (state[0].double(),), False))
    names.append(fingerprint(Recurrent(cells.ALL["GRU"], 5, 9).cells[0], X[0], (torch.zeros(16, 9),), False))
    assert len(set(names)) == 4
