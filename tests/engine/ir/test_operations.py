"""Every row of the table of operations: its texts, its derivative and its rule for complex numbers against torch's own."""

import logging
import re
from dataclasses import replace

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from rnnvanish import Recurrent
from rnnvanish.cell import Cell, Paper
from rnnvanish.engine import run as engine_run
from rnnvanish.engine.cpu.cpu_loop import CPULoop
from rnnvanish.engine.gpu.gpu_loop import GPULoop
from rnnvanish.engine.ir.complex import RealInterpreter
from rnnvanish.engine.ir.operations import NAMES, OPERATIONS
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Kind, Stage, Values
from rnnvanish.engine.loop import Program
from rnnvanish.engine.plan.phases import LoopPlan, Phase, Place
from rnnvanish.engine.plan.stage import stage
from rnnvanish.engine.reference import plain_loop
from rnnvanish.numerics.real_view import pack

NUMBERS = [0.0, -0.0, 1e-7, -1e-4, 0.3, -0.62, 0.63, 1.0, -1.0, 2.0, -3.0, 2.5, -7.5, 20.0, -90.0, 1000.0]
NUMBERS += [float("inf"), -float("inf"), float("nan")]
#: How many of an operation's arguments, from the first on, are true or false.
BOOLEANS = {"where": 1, "logical_and": 2, "logical_or": 2, "logical_not": 1}
DEVICES = {"cpu": ("numba", CPULoop), "gpu": ("triton", GPULoop)}


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")


def written(text):
    """The rows that have a text, and how many arguments each takes."""
    if text == "triton":
        pytest.importorskip("triton")
    texts = {row: getattr(row, text) for row in OPERATIONS.values()}
    return {row: 1 + max(map(int, re.findall(r"\{(\d)\}", each))) for row, each in texts.items() if each is not None}


def arguments(row, count, numbers, threshold):
    """An operation's arguments out of as many numbers: the first ones as true or false where it takes such."""
    flags = BOOLEANS.get(row.name, 0)
    return [number > threshold if index < flags else number for index, number in enumerate(numbers[:count])]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("device", DEVICES)
def test_a_text_gives_what_torch_gives(device, dtype):
    """Of all pairs of numbers; of an operation that takes three the last is the first of them."""
    text, loop = DEVICES[device]
    rows = written(text)
    x, y = torch.cartesian_prod(*[torch.tensor(NUMBERS, dtype=dtype)] * 2).T.contiguous()[:, :, None]
    values = Values()
    first, second = (
        values.value("input", (), (index,), kind=Kind.ROW, stage=Stage.ALL, shape=(1, 1)) for index in range(2)
    )
    stores = []
    for index, (row, count) in enumerate(rows.items()):
        flags = [values.elementwise("gt", each, values.constant(0.5)) for each in (first, second)]
        given = [first, second, first][:count]
        given[: BOOLEANS.get(row.name, 0)] = flags[: BOOLEANS.get(row.name, 0)]
        value = values.elementwise(row.name, *given)
        if value.boolean:
            value = values.elementwise("where", value, values.constant(1.0), values.constant(0.0))
        stores.append((value, Place(f"kept{index}")))
    buffers = {"x": x, "early0": y} | {place.buffer: torch.zeros_like(x) for _, place in stores}
    phase = Phase({first: Place("x"), second: Place("early0")}, stores)
    loop(LoopPlan([phase], {}, {}), dict.fromkeys(buffers, 1), False, dtype)(1, len(x), buffers, {}, 1)
    smallest = torch.finfo(dtype).tiny if device == "cpu" else 0.0  # what is smaller is zero there
    tolerance = {"rtol": {torch.float32: 1e-5, torch.float64: 1e-13}[dtype], "atol": smallest}
    wrong = {}
    for (row, count), (_, place) in zip(rows.items(), stores, strict=True):
        expected = row.function(*arguments(row, count, [x, y, x], 0.5)).to(dtype)
        try:
            torch.testing.assert_close(buffers[place.buffer], expected, **tolerance, equal_nan=True)
        except AssertionError as error:
            wrong[row.name] = str(error)
    assert not wrong, "\n".join(f"{name}: {error}" for name, error in wrong.items())


class EachAlone(Cell):
    """Each operation on two units of its own, which no other reads, about a positive number and about a negative one."""

    state_names = ("h",)
    paper = Paper("-", 2026, "written for the tests", "-")

    def __init__(self, rows):
        super().__init__(3 * 2 * len(rows), 2 * len(rows))
        self.rows = rows

    def forward(self, x, state):
        (h,) = state
        new = []
        units = zip(self.rows.items(), h.split(2, dim=1), x.split(6, dim=1), strict=True)
        for (row, count), before, read in units:
            numbers = [each + 0.1 * torch.sin(before) for each in read.chunk(3, dim=1)]
            now = row.function(*arguments(row, count, numbers, 0.55))
            new.append(torch.where(now, *numbers[:2]) if now.dtype == torch.bool else now)
        return (torch.cat(new, dim=1),)


@pytest.mark.parametrize("device", DEVICES)
def test_a_step_of_it_has_the_outputs_and_gradients_of_the_plain_loop(device):
    text, loop = DEVICES[device]
    rows = written(text)
    cell, steps, batch = EachAlone(rows), 3, 2
    torch.manual_seed(0)
    sizes = 0.3 + 0.5 * torch.rand(steps, batch, cell.input_size // 2, 2, dtype=torch.float64)
    x = (sizes * torch.tensor([1.0, -1.0])).flatten(2).requires_grad_()
    h = torch.randn(batch, cell.hidden_size, dtype=torch.float64, requires_grad=True)
    program = Program(stage(cell, x[0].detach(), (h.detach(),), False), loop, x.dtype)
    found = []
    for y in (program(x, None, [], (h,), None)[0], torch.stack([state for (state,) in plain_loop(cell, x, (h,))])):
        weighed = (y.nan_to_num() * torch.linspace(1, 2, y.numel()).view_as(y)).sum()
        of_x, of_h = torch.autograd.grad(weighed, [x, h])
        found.append([y.unflatten(-1, (-1, 2)), of_x.unflatten(-1, (-1, 6)), of_h.unflatten(-1, (-1, 2))])
    for index, row in enumerate(rows):
        ours, theirs = ([each.select(-2, index) for each in result] for result in found)
        torch.testing.assert_close(
            ours, theirs, rtol=1e-11, atol=1e-12, equal_nan=True, msg=lambda text, row=row: f"{row.name}: {text}"
        )


@pytest.mark.parametrize("name", [row.name for row in OPERATIONS.values() if row.complex is not None])
def test_a_rule_for_complex_numbers_gives_what_torch_gives_with_its_gradient(name):
    row, count = OPERATIONS[name], written("numba")[OPERATIONS[name]]
    torch.manual_seed(0)
    z, w = (torch.randn(4, 3, dtype=torch.complex128) for _ in range(2))
    flags = torch.rand(4, 3) > 0.5
    z[0, 0] = 0.0 if name not in ("reciprocal", "div") else 1.0

    def run(z, w):
        given = {"where": (flags, z, w), "pow": (z, 3)}.get(name, (z, w)[:count])
        return [(torch.sgn if name == "sign" else row.function)(*given)]

    with torch.no_grad():
        real = RealInterpreter(make_fx(torch.func.functionalize(run))(z, w).graph, 0)
    found = []
    for each in (lambda z, w: real(pack(z), pack(w))[0], lambda z, w: pack(run(z, w)[0])):
        inputs = [z.clone().requires_grad_(), w.clone().requires_grad_()]
        out = each(*inputs)
        weighed = (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum()
        found.append([out, *torch.autograd.grad(weighed, inputs, materialize_grads=True)])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-13)


def test_every_name_is_one_of_torchs_own_and_says_true_or_false_where_it_does():
    assert all(hasattr(torch.ops.aten, name) for name in NAMES)
    for row, count in written("numba").items():
        numbers = arguments(row, count, [torch.ones(2)] * 3, 0.5)
        assert row.boolean == (row.function(*numbers).dtype == torch.bool), row.name


class Alone(Cell):
    """A step whose every number goes through one function."""

    paper = EachAlone.paper

    def __init__(self, input_size, hidden_size, function, early):
        super().__init__(input_size, hidden_size)
        self.from_x, self.function, self.early = torch.nn.Linear(input_size, hidden_size), function, early

    def forward(self, x, state):
        read = self.from_x(x)
        return (0.317 * state[0] + self.function(read) if self.early else self.function(0.317 * state[0] + read),)


def run(caplog, monkeypatch, function, early=False, dtype=torch.float32):
    """What the log says of a step with this function, which runs like the plain loop."""
    monkeypatch.setattr(engine_run, "_logged", set())
    torch.manual_seed(0)
    layer, x = Recurrent(Alone, 3, 8, function=function, early=early).to(dtype), torch.randn(40, 16, 3, dtype=dtype)
    with caplog.at_level(logging.WARNING, logger="rnnvanish.engine"):
        ours = layer(x)[0]
    layer.engine = "reference"
    torch.testing.assert_close(ours, layer(x)[0])
    return caplog.text


def test_an_operation_without_a_text_runs_as_a_plain_loop_and_the_log_says_so(caplog, monkeypatch):
    monkeypatch.setitem(OPERATIONS, "erf", replace(OPERATIONS["erf"], numba=None))
    assert "Alone runs as a plain Python loop: the compiled engine has no erf on the CPU." in run(
        caplog, monkeypatch, torch.erf
    )


def test_an_operation_without_a_text_may_act_on_the_input(caplog, monkeypatch):
    monkeypatch.setitem(OPERATIONS, "erf", replace(OPERATIONS["erf"], numba=None))
    assert not run(caplog, monkeypatch, torch.erf, early=True)


def test_an_operation_without_a_text_for_the_gpu_is_refused_there(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setitem(OPERATIONS, "erf", replace(OPERATIONS["erf"], triton=None))
    cell, x = Alone(3, 8, torch.erf, False), torch.randn(1, 3)
    with pytest.raises(Unsupported, match="erf on the GPU"):
        Program(stage(cell, x, cell.initial_state(x), False), GPULoop, torch.float32)


def test_an_operation_without_a_rule_for_complex_numbers_runs_as_a_plain_loop(caplog, monkeypatch):
    monkeypatch.setitem(OPERATIONS, "exp", replace(OPERATIONS["exp"], complex=None))
    text = run(caplog, monkeypatch, lambda h: torch.exp(1.317j * h).real)
    assert "the compiled engine has no exp of complex numbers." in text


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (torch.lgamma, "lgamma.default"),  # of no row
        (lambda h: h.cumprod(-1), "cumprod.default"),
        (lambda h: torch.round(h, decimals=1), "round.decimals"),  # another operation of the same name
    ],
)
def test_what_is_in_no_row_runs_as_a_plain_loop(function, name, caplog, monkeypatch):
    said = f"the compiled engine has no torch.{name.partition('.')[0]} of what reads the state (aten.{name})"
    assert said in run(caplog, monkeypatch, function)
