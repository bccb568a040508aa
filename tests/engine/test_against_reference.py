"""The compiled loop against the plain one: every kind of step, outputs, states and all gradients."""

from functools import partial

import pytest
import torch
from engine_steps import STEPS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.engine import run as engine_run
from rnnvanish.engine.cpu import cpu_loop

INPUT, HIDDEN = 5, 6
#: Largest difference allowed, relative to the largest number of each result.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}

ELMANS = {f"Elman-{phi}": partial(cells.Elman, nonlinearity=phi) for phi in ("relu", "sigmoid", "leaky_relu", "prelu")}
TORCHS = {name: cell for name, cell in cells.ALL.items() if cell.torch_twin}
CELLS = {**TORCHS, **ELMANS, **{step.__name__: step for step in STEPS}}
CURES = {
    "zoneout": mitigations.Zoneout(output=0.3),
    "variational dropout": mitigations.VariationalDropout(),
    "layer normalisation": mitigations.LayerNormalisation(),
    "skip through time": mitigations.SkipThroughTime(lag=3),
    "dilated": mitigations.Dilated(start=2),
    "orthogonal": mitigations.OrthogonalConstraint(),
}


def results(layer, x, state, lengths=None):
    """Outputs, final states and the gradients of a sum that weighs every one of their numbers differently."""
    torch.manual_seed(7)
    x = x.clone().requires_grad_()
    state = tuple(part.clone().requires_grad_() for part in state)
    output, final = layer(x, state if len(state) > 1 else state[0], lengths)
    outputs = [output, *(final if isinstance(final, tuple) else (final,))]
    outputs = [torch.view_as_real(out) if out.is_complex() else out for out in outputs]
    loss = sum((out * torch.linspace(-1, 1, out.numel()).to(out).view_as(out)).sum() for out in outputs)
    inputs = [x, *state, *layer.parameters()]
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    filled = [torch.zeros_like(i) if g is None else g for g, i in zip(gradients, inputs, strict=True)]
    return [out.detach() for out in outputs] + filled


def assert_equal_loops(layer, x, lengths=None):
    """Both engines, from a state that is not zero."""
    loops, parts = len(layer.cells), layer.cells[0].initial_state(x[0])
    # Not negative: some parts are counts, and what is divided by them must not be near zero.
    state = tuple(torch.rand(loops, *part.shape, dtype=part.dtype) for part in parts)
    layer.engine = "cpu"
    fast = results(layer, x, state, lengths)
    layer.engine = "reference"
    for ours, theirs in zip(fast, results(layer, x, state, lengths), strict=True):
        size = float(theirs.abs().max()) or 1.0
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE[x.dtype] * size)


def in_parts_of_two_steps(monkeypatch):
    """Have all programs work on two steps at a time, as they do on many steps of long and wide loops."""
    for program in engine_run._programs.values():
        if hasattr(program, "chunk"):  # else it is why there is none
            monkeypatch.setattr(program, "chunk", 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(CELLS))
def test_every_kind_of_step(name, dtype, monkeypatch):
    torch.manual_seed(0)
    layer, x = Recurrent(CELLS[name], INPUT, HIDDEN).to(dtype), torch.randn(9, 3, INPUT, dtype=dtype)
    assert_equal_loops(layer, x)
    in_parts_of_two_steps(monkeypatch)
    assert_equal_loops(layer, x)


@pytest.mark.parametrize("name", ["Elman", "GRU", "LSTM", "LongExpressive", "Linear", "InComplexNumbers", "Normalised"])
def test_layers_directions_and_lengths(name, monkeypatch):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name], INPUT, HIDDEN, num_layers=2, bidirectional=True).double()
    x, lengths = torch.randn(9, 4, INPUT).double(), torch.tensor([9, 1, 4, 7])
    assert_equal_loops(layer, x, lengths)
    in_parts_of_two_steps(monkeypatch)
    assert_equal_loops(layer, x, lengths)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM], ids=["RNN", "LSTM"])
@pytest.mark.parametrize("cure", sorted(CURES))
def test_every_cure_that_changes_the_step(cure, kind):
    torch.manual_seed(0)
    layer = CURES[cure](kind(INPUT, HIDDEN, dtype=torch.float64))
    assert_equal_loops(layer.train(), torch.randn(9, 3, INPUT).double())


def test_the_random_numbers_of_a_step_are_those_of_the_plain_loop():
    layer = mitigations.Zoneout(output=0.5)(nn.GRU(INPUT, HIDDEN))
    x, seen = torch.randn(20, 3, INPUT), {}
    for engine in ("cpu", "reference"):
        layer.engine = engine
        torch.manual_seed(3)
        output, _ = layer(x)
        seen[engine] = ((output[1:] == output[:-1]), torch.rand(1))
    assert torch.equal(seen["cpu"][0], seen["reference"][0])
    assert 0.3 < seen["cpu"][0].float().mean() < 0.7
    assert seen["cpu"][1] == seen["reference"][1]  # and what comes after them is the same


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["Elman", "GRU", "LSTM", "InComplexNumbers", "ModReLU"]),
    steps=st.integers(1, 12),
    batch=st.integers(1, 40),
    hidden=st.integers(1, 33),
    layout=st.sampled_from(["plain", "turned", "expanded", "every other"]),
)
def test_any_shape(name, steps, batch, hidden, layout):
    torch.manual_seed(0)
    x = torch.randn(steps, batch, INPUT)
    if layout == "turned":
        x = torch.randn(batch, steps, INPUT).transpose(0, 1)
    elif layout == "expanded":
        x = torch.randn(steps, 1, INPUT).expand(steps, batch, INPUT)
    elif layout == "every other":
        x = torch.randn(steps, batch, 2 * INPUT)[:, :, ::2]
    assert_equal_loops(Recurrent(CELLS[name], INPUT, hidden).double(), x.double())


def test_two_thousand_steps():
    torch.manual_seed(0)
    assert_equal_loops(Recurrent(cells.LSTM, INPUT, HIDDEN).double(), torch.randn(2000, 2, INPUT).double())


@pytest.mark.parametrize("name", ["Elman", "GRU", "LSTM", "Elman-relu", "Exponential"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_what_is_not_finite_comes_out_as_in_torch(name, bad):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name], INPUT, HIDDEN)
    x = torch.randn(9, 3, INPUT)
    x[4, 1, 2] = bad
    outputs = {}
    for layer.engine in ("cpu", "reference"):
        outputs[layer.engine] = layer(x)[0]
    torch.testing.assert_close(outputs["cpu"], outputs["reference"], rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("name", ["GRU", "LongExpressive"])
def test_gradients_are_those_of_finite_differences(name):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name], 2, 3, engine="cpu").double()
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x)[0], (x,))
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))


def test_two_threads_compute_what_one_does(monkeypatch):
    torch.manual_seed(0)
    asked, pool = [], cpu_loop._pool
    monkeypatch.setattr(cpu_loop, "_pool", lambda: asked.append(torch.get_num_threads()) or pool())
    layer, x = Recurrent(cells.LSTM, INPUT, 32, engine="cpu").double(), torch.randn(100, 48, INPUT).double()
    state = tuple(torch.randn(1, 48, 32).double() for _ in range(2))
    before, found = torch.get_num_threads(), {}
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found[threads] = results(layer, x, state)
            layer(x[:20], state)  # too little for two
    finally:
        torch.set_num_threads(before)
    # Two jobs there and two back, and none for the short loop.
    assert asked == [2, 2, 2, 2]
    for one, two in zip(found[1], found[2], strict=True):
        torch.testing.assert_close(two, one, rtol=0, atol=1e-12 * float(one.abs().max()))
