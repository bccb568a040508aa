"""What is generated for the GPU, run by Triton's interpreter, against the plain loop: no GPU is needed."""

import sys
from functools import partial

import pytest
import torch
from axes_steps import BlockDiagonal, Matrices
from engine_steps import InComplexNumbers, Oscillators, assert_memory_of_their_own
from torch import Tensor, nn

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.cell import Cell, State
from rnnvanish.engine.gpu.gpu_loop import GPULoop
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.loop import Program
from rnnvanish.engine.plan.stage import stage
from rnnvanish.engine.reference import padding_mask, plain_loop
from rnnvanish.engine.state_record import StateRecord

pytest.importorskip("triton")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")


class IndRNN(Cell):
    """Each unit sees itself alone: h ← tanh(W x + b + u h)."""

    state_names = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, hidden_size)
        self.u = nn.Parameter(torch.linspace(-1, 1, hidden_size))

    def forward(self, x: Tensor, state: State) -> State:
        return (torch.tanh(self.from_x(x) + self.u * state[0]),)


class MinGRU(Cell):
    """A gate and a candidate of the input alone: h ← h + z (n − h)."""

    state_names = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)

    def forward(self, x: Tensor, state: State) -> State:
        z, n = self.from_x(x).chunk(2, dim=-1)
        return (state[0] + torch.sigmoid(z) * (n - state[0]),)


class Turning(Cell):
    """Two parts that are scanned together, in several forms of a h + b; the second has pieces."""

    state_names = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, hidden_size)

    def forward(self, x: Tensor, state: State) -> State:
        h, c = state
        y = self.from_x(x)
        cut = y.shape[1] // 2
        mixed = torch.cat([torch.sigmoid(y[:, :cut]), y[:, cut:].cos()], dim=1)
        return y - (h * 0.5 - c.new_zeros(())) / (1 + y * y), torch.where(y > 0, -c * mixed, c + y)


class ResetBefore(cells.GRU):
    """Cho's own: the reset acts on the state, before the product."""

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        xr, xz, xn = self.from_x(x).chunk(3, dim=-1)
        wr, wz, wn = self.from_h.weight.chunk(3)
        r, z = torch.sigmoid(xr + h @ wr.t()), torch.sigmoid(xz + h @ wz.t())
        return ((1 - z) * torch.tanh(xn + (r * h) @ wn.t()) + z * h,)


class LEM(Cell):
    """Two products a step: y reads the z that was just written."""

    state_names = ("y", "z")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x, self.from_y = nn.Linear(input_size, 4 * hidden_size), nn.Linear(hidden_size, 3 * hidden_size)
        self.from_z = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor, state: State) -> State:
        y, z = state
        fast, slow, new, out = self.from_x(x).chunk(4, dim=-1)
        a, b, c = self.from_y(y).chunk(3, dim=-1)
        z = z + torch.sigmoid(fast + a) * (torch.tanh(new + c) - z)
        return y + torch.sigmoid(slow + b) * (torch.tanh(out + self.from_z(z)) - y), z


def mitigated(mitigation, module, input_size, hidden_size):
    return mitigation(module(input_size, hidden_size)).cells[0]


#: How a cell is built; features, units, steps and sequences; whether its forward and its backward loop are scans.
CASES = {
    "Elman": (cells.Elman, (3, 5, 4, 2), (False, False)),
    "Elman, wider than a tile": (cells.Elman, (2, 70, 2, 3), (False, False)),
    "Elman, relu, more sequences than a block": (partial(cells.Elman, nonlinearity="relu"), (2, 3, 3, 18), (0, 0)),
    "Elman, prelu, one feature": (partial(cells.Elman, nonlinearity="prelu"), (1, 17, 3, 2), (False, False)),
    "Elman, one unit": (cells.Elman, (2, 1, 3, 2), (False, True)),
    "GRU, one sequence": (cells.GRU, (2, 6, 3, 1), (False, False)),
    "LSTM": (cells.LSTM, (3, 7, 3, 2), (False, False)),
    "LSTM, one step": (cells.LSTM, (2, 3, 1, 2), (False, False)),
    "layer-normalised": (partial(mitigated, mitigations.LayerNormalisation(), torch.nn.LSTM), (2, 5, 3, 2), (0, 0)),
    "zoneout": (partial(mitigated, mitigations.Zoneout(0.3, 0.5), torch.nn.LSTM), (2, 3, 3, 2), (False, False)),
    "skip through time": (partial(mitigated, mitigations.SkipThroughTime(3), torch.nn.GRU), (2, 3, 5, 2), (0, 0)),
    "IndRNN": (IndRNN, (3, 5, 36, 2), (False, True)),
    "MinGRU": (MinGRU, (2, 3, 36, 2), (True, True)),
    "two parts, several forms": (Turning, (2, 5, 3, 2), (True, True)),
    "reset before": (ResetBefore, (2, 5, 3, 2), (False, False)),
    "LRU in complex numbers": (InComplexNumbers, (2, 3, 3, 2), (False, False)),
    "a real and a complex part": (Oscillators, (2, 5, 3, 2), (False, False)),
    "LEM": (LEM, (2, 3, 3, 2), (False, False)),
    "a matrix for each head": (lambda *_: BlockDiagonal(), (3, 8, 2, 2), (False, False)),
    "states that are matrices": (lambda *_: Matrices(), (3, 8, 2, 2), (False, False)),
}


class Run:
    """A cell on random numbers: by its generated program, and by the plain loop."""

    def __init__(self, build, sizes, dtype, masked):
        torch.manual_seed(0)
        features, units, steps, batch = sizes
        self.cell = build(features, units).to(dtype)
        self.x = torch.randn(steps, batch, features, dtype=dtype).requires_grad_()
        start = self.cell.initial_state(self.x[0].detach())
        self.start = tuple(torch.randn_like(part).requires_grad_() for part in start)
        self.lengths = torch.randint(0, steps + 1, (batch,)) if masked else None
        self.program = Program(stage(self.cell, self.x.detach()[0], start, masked), GPULoop, dtype)
        self.inputs = [self.x, *self.start, *self.cell.parameters()]

    def generated(self, record=None):
        torch.manual_seed(1)  # what a step draws at random
        ended = None if self.lengths is None else padding_mask(len(self.x), self.lengths).unsqueeze(-1)
        invariants = self.program.staged.prologue(*dict(self.cell.named_parameters()).values())
        return self.program(self.x, ended, invariants, self.start, record)

    def states(self):
        torch.manual_seed(1)
        return plain_loop(self.cell, self.x, self.start, self.lengths)

    def plain(self):
        states = self.states()
        return torch.stack([parts[0] for parts in states]), states[-1]

    def gradients(self, loss):
        return torch.autograd.grad(loss, self.inputs, materialize_grads=True)


def weigh(results):
    """A sum in which every number counts differently."""
    results = [torch.view_as_real(each) if each.is_complex() else each for each in results]
    return sum((each * torch.arange(1.0, 1 + each.numel()).view_as(each).cos()).sum() for each in results)


def agree(ours, theirs, what):
    ours, theirs = ours.detach(), theirs.detach()
    size = float(theirs.abs().max()) if theirs.numel() else 0.0
    error = float((ours - theirs).abs().max()) if theirs.numel() else 0.0
    assert error <= TOLERANCE[ours.dtype.to_real()] * max(size, 1.0), (what, error, size)


@pytest.mark.parametrize(("dtype", "masked"), [(torch.float64, True), (torch.float32, False)])
@pytest.mark.parametrize("name", CASES)
def test_generated_loop_is_the_plain_one(name, dtype, masked):
    build, sizes, scans = CASES[name]
    run = Run(build, sizes, dtype, masked)
    assert (run.program.forward_loop.scans, run.program.backward_loop.scans) == tuple(map(bool, scans))
    results = []
    for y, final in (run.generated(), run.plain()):
        results.append([y, *final, *run.gradients(weigh([y, *final]))])
    for index, (ours, theirs) in enumerate(zip(*results, strict=True)):
        agree(ours, theirs, index)


@pytest.mark.parametrize("name", ["Elman", "LSTM", "GRU, one sequence", "MinGRU"])
def test_every_gradient_has_memory_of_its_own(name):
    run = Run(*CASES[name][:2], torch.float64, False)
    output, _ = run.generated()
    output.data.zero_()  # is the user's, and no gradient of ours
    weigh([output]).backward()
    assert_memory_of_their_own(enumerate(run.inputs))
    for tensor, theirs in zip(run.inputs, run.gradients(weigh([run.plain()[0]])), strict=True):
        agree(tensor.grad, theirs, "gradient")


@pytest.mark.parametrize("name", ["LSTM", "IndRNN"])
def test_loss_of_the_last_state_alone(name):
    run = Run(*CASES[name][:2], torch.float64, False)
    for ours, theirs in zip(*(run.gradients(weigh(result()[1])) for result in (run.generated, run.plain)), strict=True):
        agree(ours, theirs, "gradient")


@pytest.mark.parametrize("name", ["GRU, one sequence", "MinGRU"])
def test_gradient_of_every_state_comes_with_it(name):
    run, record = Run(*CASES[name][:2], torch.float64, False), StateRecord()
    run.gradients(weigh([run.generated(record)[0]]))
    states = run.states()
    expected = torch.autograd.grad(weigh([torch.stack([parts[0] for parts in states])]), [parts[0] for parts in states])
    agree(record.gradients[0][0][1:], torch.stack(expected), "dL/ds")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU says")
def test_named_engine_without_a_gpu_says_so():
    with pytest.raises(RuntimeError, match="tensors on cpu, and torch sees no GPU here"):
        Recurrent(cells.Elman, 2, 3, engine="gpu")(torch.zeros(4, 1, 2))


def test_without_triton_the_reason_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(Unsupported, match=r'Triton.*pip install "rnnvanish\[gpu\]"'):
        Run(cells.Elman, (11, 13, 2, 2), torch.float32, False)
