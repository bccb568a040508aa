"""What people write in a step: each operation against the plain loop, on the state and on the input alone."""

import pytest
import torch
import torch.nn.functional as F
from loops_in_python import python_loop
from torch import nn

from rnnvanish.cell import Cell, Paper
from rnnvanish.engine.cpu import cpu_loop
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.loop import Program
from rnnvanish.engine.plan.stage import stage
from rnnvanish.engine.reference import plain_loop

INPUT, UNITS, STEPS, BATCH = 3, 8, 3, 2
#: Operations of a step: of the cell, for its weights; of what changes; of the state, or again of what changes.
OPERATIONS = {
    "softmax": lambda cell, a, h: torch.softmax(a, -1),
    "softmax of large numbers": lambda cell, a, h: torch.softmax(1000 * a, -1),
    "log_softmax": lambda cell, a, h: torch.log_softmax(a, -1),
    "logsumexp": lambda cell, a, h: a - torch.logsumexp(a, -1, keepdim=True),
    "cumsum": lambda cell, a, h: a.cumsum(-1),
    "cumprod": lambda cell, a, h: a.cumprod(-1),
    "amax keepdim": lambda cell, a, h: a - a.amax(-1, keepdim=True),
    "max(-1)[0]": lambda cell, a, h: a - a.max(-1, keepdim=True)[0],
    "sum keepdim": lambda cell, a, h: a - a.sum(-1, keepdim=True),
    "sum(-1)[:,None]": lambda cell, a, h: a - a.sum(-1)[:, None],
    "mean no keepdim": lambda cell, a, h: a - a.mean(-1)[:, None],
    "std": lambda cell, a, h: a / (1 + a.std(-1, keepdim=True)),
    "norm": lambda cell, a, h: a / (1 + a.norm(dim=-1, keepdim=True)),
    "F.normalize": lambda cell, a, h: F.normalize(a, dim=-1),
    "layer_norm": lambda cell, a, h: F.layer_norm(a, (UNITS,)),
    "group_norm": lambda cell, a, h: F.group_norm(a, 2),
    "round": lambda cell, a, h: a + (a.round() - a).detach(),
    "floor": lambda cell, a, h: a - a.floor().detach(),
    "remainder": lambda cell, a, h: torch.remainder(a, 2.0),
    "fmod": lambda cell, a, h: torch.fmod(a, 2.0),
    "ceil": lambda cell, a, h: a - a.ceil().detach(),
    "frac": lambda cell, a, h: a.frac(),
    "index perm": lambda cell, a, h: a[:, cell.order],
    "index_select": lambda cell, a, h: a.index_select(1, cell.order),
    "roll": lambda cell, a, h: a.roll(1, -1),
    "flip": lambda cell, a, h: a.flip(-1),
    "slice step 2": lambda cell, a, h: torch.cat([a[:, ::2], a[:, 1::2]], -1),
    "repeat": lambda cell, a, h: a[:, :4].repeat(1, 2),
    "repeat_interleave": lambda cell, a, h: a[:, :4].repeat_interleave(2, -1),
    "view heads, elementwise": lambda cell, a, h: (a.view(-1, 2, 4) * 2).flatten(1),
    "view heads, sum": lambda cell, a, h: (a.view(-1, 2, 4) * h.view(-1, 2, 4)).sum(-1).repeat(1, 4),
    "stack.sum": lambda cell, a, h: torch.stack([a, h]).sum(0),
    "chunk of heads via unbind": lambda cell, a, h: torch.cat(a.view(-1, 2, 4).unbind(1), -1),
    "einsum block diagonal": lambda cell, a, h: torch.einsum("bgi,gij->bgj", a.view(-1, 2, 4), cell.blocks).flatten(1),
    "bmm outer": lambda cell, a, h: (a[:, :, None] * h[:, None, :]).sum(-1),
    "matmul states": lambda cell, a, h: torch.einsum("bi,bj->bij", a, h).sum(1),
    "vector @ line": lambda cell, a, h: a * (a @ cell.line)[:, None],
    "fft": lambda cell, a, h: torch.fft.fft(a).real,
    "rfft": lambda cell, a, h: torch.fft.irfft(torch.fft.rfft(a), n=UNITS),
    "topk": lambda cell, a, h: torch.where(a >= a.topk(3, -1)[0][:, -1:], a, 0.0),
    "sort": lambda cell, a, h: a.sort(-1)[0],
    "argmax onehot": lambda cell, a, h: F.one_hot(a.argmax(-1), UNITS).to(a),
    "atan2": lambda cell, a, h: torch.atan2(a, h),
    "atan": lambda cell, a, h: torch.atan(a),
    "sinh": lambda cell, a, h: torch.sinh(a),
    "cosh": lambda cell, a, h: torch.cosh(a),
    "tan": lambda cell, a, h: torch.tan(a),
    "asin": lambda cell, a, h: torch.asin(a.clamp(-0.9, 0.9)),
    "exp2": lambda cell, a, h: torch.exp2(a),
    "log2": lambda cell, a, h: torch.log2(a.abs() + 1),
    "softplus": lambda cell, a, h: F.softplus(a),
    "silu": lambda cell, a, h: F.silu(a),
    "gelu": lambda cell, a, h: F.gelu(a),
    "gelu tanh": lambda cell, a, h: F.gelu(a, approximate="tanh"),
    "mish": lambda cell, a, h: F.mish(a),
    "selu": lambda cell, a, h: F.selu(a),
    "elu": lambda cell, a, h: F.elu(a),
    "celu": lambda cell, a, h: F.celu(a),
    "softsign": lambda cell, a, h: F.softsign(a),
    "hardsigmoid": lambda cell, a, h: F.hardsigmoid(a),
    "hardtanh": lambda cell, a, h: F.hardtanh(a),
    "hardswish": lambda cell, a, h: F.hardswish(a),
    "relu6": lambda cell, a, h: F.relu6(a),
    "tanhshrink": lambda cell, a, h: F.tanhshrink(a),
    "softshrink": lambda cell, a, h: F.softshrink(a),
    "hardshrink": lambda cell, a, h: F.hardshrink(a),
    "logit": lambda cell, a, h: torch.logit(torch.sigmoid(a), 0.001),
    "threshold": lambda cell, a, h: F.threshold(a, 0.1, 0.0),
    "glu": lambda cell, a, h: F.glu(torch.cat([a, h], -1)),
    "prelu": lambda cell, a, h: F.prelu(a, cell.line),
    "rrelu eval": lambda cell, a, h: F.rrelu(a),
    "pow 3": lambda cell, a, h: a**3,
    "pow tensor": lambda cell, a, h: (a.abs() + 1) ** cell.line,
    "rpow": lambda cell, a, h: 2.0**a,
    "rsqrt": lambda cell, a, h: torch.rsqrt(a.abs() + 1),
    "clamp tensor": lambda cell, a, h: torch.clamp(a, -cell.line.abs(), cell.line.abs()),
    "sign": lambda cell, a, h: a.sign() * h,
    "heaviside": lambda cell, a, h: torch.heaviside(a, torch.zeros((), dtype=a.dtype)),
    "masked_fill": lambda cell, a, h: a.masked_fill(a > 1, 0.0),
    "bool float": lambda cell, a, h: (a > 0).float() * h,
    "bool to": lambda cell, a, h: (a > 0).to(a.dtype) * h,
    "bool *": lambda cell, a, h: (a > 0) * h,
    "addcdiv": lambda cell, a, h: torch.addcdiv(a, h, cell.line.abs() + 1),
    "hypot": lambda cell, a, h: torch.hypot(a, h),
    "erfc": lambda cell, a, h: torch.erfc(a),
    "sinc": lambda cell, a, h: torch.sinc(a),
    "lerp": lambda cell, a, h: torch.lerp(a, h, 0.5),
    "nan_to_num": lambda cell, a, h: torch.nan_to_num(a),
    "isfinite": lambda cell, a, h: torch.where(torch.isfinite(a), a, h),
    "dropout": lambda cell, a, h: F.dropout(a, 0.5, True),
    "bernoulli": lambda cell, a, h: torch.bernoulli(torch.sigmoid(a).detach()) * h,
    "rand_like": lambda cell, a, h: torch.rand_like(a) * h,
    "randn_like": lambda cell, a, h: a + torch.randn_like(a),
    "bernoulli half": lambda cell, a, h: torch.empty_like(a).bernoulli_(0.5) * h,
    "conv1d over units": lambda cell, a, h: cell.convolution(a[:, None]).squeeze(1),
    "matrix of state (softmax rows)": lambda cell, a, h: (torch.softmax(torch.outer(cell.line, cell.line), -1) @ a.T).T,
    "h @ W with W 3-D param slice": lambda cell, a, h: torch.cat(
        [a[:, :4] @ cell.blocks[0], a[:, 4:] @ cell.blocks[1]], -1
    ),
    "F.linear masked": lambda cell, a, h: F.linear(h, cell.from_h.weight * cell.mask),
    "inplace mul_": lambda cell, a, h: a.clone().mul_(2),
    "assign slice": lambda cell, a, h: torch.cat([a[:, :4], h[:, 4:]], -1),
    "split param": lambda cell, a, h: a * torch.cat(cell.line.chunk(2)),
    "unbind param": lambda cell, a, h: a @ cell.blocks.unbind(0)[0].repeat(2, 2),
    "square": lambda cell, a, h: a.square(),
    "abs": lambda cell, a, h: a.abs(),
    "var": lambda cell, a, h: a / (1 + a.var(-1, keepdim=True)),
    "detach": lambda cell, a, h: a.detach() * h,
}

#: What runs as a plain loop where it reads the state, and what is said of it.
NOT_STAGED = {
    "fft": r"^torch\.fft of what reads the state",
    "rfft": r"^torch\.fft of what reads the state",
    "topk": r"^torch\.topk of what reads the state",
    "sort": r"^torch\.sort of what reads the state",
    "argmax onehot": r"^torch\.argmax of what reads the state",
    "cumprod": r"^torch\.cumprod of what reads the state",
    "heaviside": "derivative for aten::heaviside is not implemented",  # nor is it in the plain loop
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Compiling so many operations takes a minute; what is compiled has the same text."""
    monkeypatch.setattr(cpu_loop, "load_or_compile", python_loop)


class EachOnItsUnits(Cell):
    """Each of some operations on units of its own: on what reads the state, or on the input alone."""

    paper = Paper("-", 2026, "written for the tests", "-")

    def __init__(self, functions, early):
        super().__init__(INPUT, UNITS * len(functions))
        self.functions, self.early = functions, early
        self.from_x = nn.Linear(INPUT, self.hidden_size)
        self.from_h = nn.Linear(UNITS, UNITS)
        self.blocks = nn.Parameter(torch.randn(2, UNITS // 2, UNITS // 2))
        self.line = nn.Parameter(torch.randn(UNITS))
        self.register_buffer("order", torch.randperm(UNITS))
        self.register_buffer("mask", torch.rand(UNITS) > 0.5)
        self.convolution = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x, state):
        new = []
        for function, a, h in zip(
            self.functions, self.from_x(x).split(UNITS, 1), state[0].split(UNITS, 1), strict=True
        ):
            from_h = self.from_h(h)
            now = function(self, a, a) + from_h if self.early else function(self, a + from_h, h)
            new.append(torch.tanh(now))
        return (torch.cat(new, dim=1),)


#: Cells among which the operations are dealt out: a loop keeps no more than 96 rows of a step apart.
PARTS = 9


def staged(names, early):
    """A cell of these operations, and its step in stages: what reads the input alone is any operation of torch there."""
    torch.manual_seed(0)
    cell = EachOnItsUnits([OPERATIONS[name] for name in names], early).double()
    x = torch.zeros(1, INPUT, dtype=torch.float64)
    return cell, stage(cell, x, cell.initial_state(x), False, apart=early)


def wrong(names, early, tolerance=1e-10):
    """Which of these operations give other outputs or gradients than in the plain loop."""
    cell, step = staged(names, early)
    program = Program(step, cpu_loop.CPULoop, torch.float64)
    x = torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    h = torch.rand(BATCH, cell.hidden_size, dtype=torch.float64, requires_grad=True)
    weights = dict(cell.named_parameters())

    def compiled():
        given = {**weights, **dict(cell.named_buffers())}.values()
        return program(x, None, step.prologue(*given), (h,), None)[0]

    found = []
    for run in (compiled, lambda: torch.stack([each for (each,) in plain_loop(cell, x, (h,))])):
        torch.manual_seed(1)
        y = run()
        weighed = (y * torch.linspace(1, 2, y.numel()).view_as(y)).sum()
        of_x, of_h, *of_weights = torch.autograd.grad(weighed, [x, h, *weights.values()], allow_unused=True)
        found.append([y.split(UNITS, -1), of_h.split(UNITS, -1), [of_x, *of_weights]])
    ours, theirs = found
    differing = {
        name
        for each in range(2)
        for name, one, other in zip(names, ours[each], theirs[each], strict=True)
        if not torch.allclose(one, other, rtol=tolerance, atol=tolerance / 100)
    }
    if not differing:
        torch.testing.assert_close(ours[2], theirs[2], rtol=tolerance, atol=tolerance / 100)
    return differing


@pytest.mark.parametrize("part", range(PARTS))
def test_what_reads_the_input_alone_may_be_any_operation(part):
    names = [name for name in OPERATIONS if name != "heaviside"]  # torch knows no derivative of it
    assert not wrong(names[part::PARTS], early=True)


@pytest.mark.parametrize("part", range(PARTS))
def test_what_reads_the_state_is_staged(part):
    names = [name for name in OPERATIONS if name not in {*NOT_STAGED, "hardsigmoid"}]
    assert not wrong(names[part::PARTS], early=False)


def test_the_sixth_in_the_derivative_of_hardsigmoid_is_not_in_single_precision_as_torchs_own():
    assert not wrong(["hardsigmoid"], early=False, tolerance=1e-7)


@pytest.mark.parametrize("name", NOT_STAGED)
def test_what_is_not_staged_says_why(name):
    with pytest.raises((Unsupported, RuntimeError), match=NOT_STAGED[name]):
        staged([name], early=False)


def test_nearly_everything_is_staged():
    assert len(OPERATIONS) >= 105
    assert len(NOT_STAGED) <= 7
