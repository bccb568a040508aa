"""Steps that compute with complex numbers: each operation against torch's own, and loops against what is known of them."""

import logging

import pytest
import torch
from engine_steps import Complex, InComplexNumbers, ModReLU, Oscillators
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from rnnvanish import Recurrent
from rnnvanish.cell import Cell, Paper
from rnnvanish.engine import run as engine_run
from rnnvanish.engine.ir.complex import RealInterpreter
from rnnvanish.engine.ir.parameters import batch_for
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.state_record import StateRecord
from rnnvanish.numerics.real_view import pack

OPERATIONS = {
    "add": lambda z, w, x: z + w + x + 0.5 - 2j,
    "subtract": lambda z, w, x: 1j - (z - x) - torch.sub(w, z, alpha=0.5),
    "multiply": lambda z, w, x: z * w * x * (1j - 2),
    "divide": lambda z, w, x: z / w + x / w + z / x.exp() + 1 / w,
    "negate": lambda z, w, x: -z + w.reciprocal(),
    "conjugate": lambda z, w, x: z.conj() * w + z.conj().imag + w.mH.mT.imag,
    "parts": lambda z, w, x: z.real * w + torch.view_as_real(z)[..., 1] + torch.view_as_real(w).unbind(-1)[0],
    "put together": lambda z, w, x: torch.complex(x, z.real) * torch.view_as_complex(torch.stack([w.imag, x], dim=-1)),
    "from real": lambda z, w, x: x.to(z.dtype) * 1j + torch.tanh(x.to(z.dtype)) + x.to(z.dtype).exp() + x.to(z.dtype).sgn(),
    "size": lambda z, w, x: z.abs() * w + torch.sgn(z),
    "polar": lambda z, w, x: torch.polar(x.exp(), w.real) + torch.polar(torch.relu(z.abs() - 0.4), z.angle()),
    "exp": lambda z, w, x: z.exp() + torch.exp(1j * x),
    "tanh": lambda z, w, x: torch.tanh(z),
    "powers": lambda z, w, x: z**2 - w**3 + z.square(),
    "products": lambda z, w, x: z @ w.mT @ w + torch.addmm(z, x.to(z.dtype), w[:3]) + torch.nn.functional.linear(z, w[:3].conj()),
    "where": lambda z, w, x: torch.where(x > 0, z, w) + torch.where(x > 0, z, 0.0) + torch.where(x < 0, x, 1j),
    "places": lambda z, w, x: torch.cat([x[:, 1:], w[:, :1]], dim=1) + z.chunk(3, dim=1)[2] + w.sum(1, keepdim=True) + z.mean(0),
    "filled": lambda z, w, x: torch.zeros_like(z) + torch.ones_like(w) * z + torch.full_like(z, 2 - 1j) + z.new_zeros(3),
    "scalar": lambda z, w, x: z * torch.tensor(0.5 - 1j, dtype=z.dtype),
}  # fmt: skip


def traced(operation, *tensors):
    with torch.no_grad():
        return RealInterpreter(make_fx(torch.func.functionalize(lambda *given: [operation(*given)]))(*tensors).graph, 0)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_that_of_torch_with_its_gradient(name):
    torch.manual_seed(0)
    operation = OPERATIONS[name]
    given = [torch.randn(4, 3, dtype=dtype) for dtype in (torch.complex128, torch.complex128, torch.float64)]
    given[0][0, 0] = 0
    real = traced(operation, *given)
    ends = []
    for run, border in ((operation, pack), (lambda *rows: real(*map(pack, rows))[0], lambda row: row)):
        inputs = [each.clone().requires_grad_() for each in given]
        out = border(run(*inputs))
        weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
        ends.append([out, *torch.autograd.grad((out * weights).sum(), inputs, materialize_grads=True)])
    for ours, theirs in zip(*reversed(ends), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13, equal_nan=True)


@pytest.mark.parametrize("operation", [torch.abs, torch.sgn, lambda z: 1 / z])
def test_squares_that_vanish_or_overflow_do_not_matter(operation):
    sizes = torch.tensor([1e-200, 1e200], dtype=torch.float64)
    z = torch.complex(*torch.cartesian_prod(sizes, torch.cat([sizes, -sizes])).T.contiguous())[:, None]
    (ours,) = traced(operation, z)(pack(z))
    torch.testing.assert_close(ours, pack(operation(z)), rtol=1e-14, atol=0)


def test_what_is_not_finite_has_the_size_that_torch_gives_it():
    numbers = [0.0, 1.0, -1e30, float("inf"), -float("inf"), float("nan")]
    z = torch.complex(*torch.cartesian_prod(torch.tensor(numbers), torch.tensor(numbers[:3])).T.contiguous())[:, None]
    (ours,) = traced(torch.abs, z)(pack(z))
    torch.testing.assert_close(ours, z.abs(), equal_nan=True)


@pytest.mark.parametrize("operation", [torch.angle, torch.sqrt, lambda z: z**0.5, lambda z: z.to(torch.complex64)])
def test_what_is_not_known_is_refused_by_name(operation):
    z = torch.randn(2, 3, dtype=torch.complex128)
    with pytest.raises(Unsupported, match=r"sqrt|angle|power 0\.5|_to_copy"):
        pack(*traced(operation, z)(pack(z)))


class Diagonal(Cell):
    """h ← λ h + B x, with complex parameters; the input may be complex too."""

    paper = Paper("-", 2026, "written for the tests", "-")

    def __init__(self, input_size, hidden_size, function=None):
        super().__init__(input_size, hidden_size)
        self.eigenvalue = nn.Parameter(torch.polar(torch.rand(hidden_size), 3 * torch.rand(hidden_size)))
        self.from_x = nn.Linear(input_size, hidden_size, bias=False, dtype=torch.complex64)
        self.function = function

    def initial_state(self, x):
        return (x.new_zeros(len(x), self.hidden_size, dtype=x.dtype.to_complex()),)

    def forward(self, x, state):
        h = self.eigenvalue * state[0] + self.from_x(x.to(self.eigenvalue.dtype))
        return (h if self.function is None else self.function(h),)


class ByParameters(Diagonal):
    """A quotient and a polar form, each of a row and of a parameter."""

    def forward(self, x, state):
        size = x.to(self.eigenvalue.dtype) @ self.from_x.weight.mT
        return (state[0] / (2 + self.eigenvalue) + torch.polar(size.real.exp(), self.eigenvalue.real),)


def double(layer):
    for weight in layer.parameters():  # layer.double() leaves complex numbers as they are
        weight.data = weight.data.to(torch.complex128 if weight.is_complex() else torch.float64)
    return layer


def both(layer, inputs, **options):
    """Outputs, final states and all gradients of the compiled loop, and of the plain one."""
    found = []
    for layer.engine in ("cpu", "reference"):
        x, *state = (each.clone().requires_grad_() for each in inputs)
        y, final = layer(x, tuple(state), **options)
        outputs = [y, *(final if isinstance(final, tuple) else (final,))]
        weights = [torch.linspace(-1, 1, 2 * out.numel(), dtype=torch.float64)[: pack(out).numel()] for out in outputs]
        loss = sum((pack(out).flatten() * each).sum() for out, each in zip(outputs, weights, strict=True))
        found.append(
            [
                *(out.detach() for out in outputs),
                *torch.autograd.grad(loss, [x, *state, *layer.parameters()], materialize_grads=True),
            ]
        )
    return zip(*found, strict=True)


@pytest.mark.parametrize("step", [ModReLU, Oscillators, ByParameters])
@pytest.mark.parametrize("options", [{"bidirectional": True}, {"checkpoint_every": 4}], ids=["lengths", "checkpoint"])
def test_complex_states_with_lengths_and_checkpoints(step, options):
    torch.manual_seed(0)
    layer, lengths = double(Recurrent(step, 5, 3, **options)), torch.tensor([9, 1, 4, 7])
    x = torch.randn(9, 4, 5, dtype=torch.float64)
    state = [
        torch.randn(len(layer.cells), *part.shape, dtype=part.dtype) for part in layer.cells[0].initial_state(x[0])
    ]
    for ours, theirs in both(layer, [x, *state], lengths=lengths):
        assert ours.dtype == theirs.dtype
        assert float((ours - theirs).abs().max()) <= 1e-11 * max(float(theirs.abs().max()), 1.0)


def test_complex_output_is_the_complex_input_of_the_next_layer():
    torch.manual_seed(0)
    layer = double(Recurrent(Diagonal, 2, 3, num_layers=2))
    state = torch.randn(2, 4, 3, dtype=torch.complex128)
    for ours, theirs in both(layer, [torch.randn(9, 4, 2, dtype=torch.complex128), state]):
        assert float((ours - theirs).abs().max()) <= 1e-11 * float(theirs.abs().max())


def test_complex_numbers_are_the_two_real_parts_that_one_may_write_instead():
    torch.manual_seed(0)
    layers = [Recurrent(step, 5, 6, engine="cpu").double() for step in (Complex, InComplexNumbers)]
    layers[1].load_state_dict(layers[0].state_dict())
    x, results = torch.randn(9, 4, 5, dtype=torch.float64), []
    for layer in layers:
        y, (_, *h) = layer(x)
        gradients = torch.autograd.grad(y.square().sum(), layer.parameters())
        results.append([y, torch.cat([pack(part) for part in h], dim=-1), *gradients])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_a_diagonal_of_complex_numbers_is_its_closed_form():
    torch.manual_seed(0)
    cell, x = double(Diagonal(5, 3)), torch.randn(20, 4, 5, dtype=torch.float64)
    start, record = torch.randn(4, 3, dtype=torch.complex128, requires_grad=True), StateRecord()
    (y, (final,)) = engine_run.run(cell, x, (start,), None, "cpu", record)
    lag = torch.arange(20, -1, -1)[:, None]
    powers = cell.eigenvalue.detach() ** lag
    read = x.to(torch.complex128) @ cell.from_x.weight.detach().T
    expected = powers[0] * start + (powers[1:, None] * read).sum(0)
    torch.testing.assert_close(final, expected, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(y[-1], expected, rtol=1e-11, atol=1e-11)
    # What torch calls the gradient of a complex number is conjugate to the derivative.
    direction = torch.randn(4, 3, dtype=torch.complex128)
    (gradient,) = torch.autograd.grad(final, start, direction)
    ((carry,),) = record.gradients
    torch.testing.assert_close(carry, powers.conj()[:, None] * direction, rtol=1e-11, atol=1e-14)
    torch.testing.assert_close(gradient, carry[0])
    torch.testing.assert_close(carry.abs(), powers.abs()[:, None] * direction.abs(), rtol=1e-11, atol=1e-14)


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    layer, x = Recurrent(InComplexNumbers, 1, 2, engine="cpu").double(), torch.randn(3, 1, 1, dtype=torch.float64)
    state = [torch.randn(1, *part.shape, dtype=part.dtype) for part in layer.cells[0].initial_state(x[0])]
    inputs = [each.requires_grad_() for each in (x, *state)]
    assert torch.autograd.gradcheck(lambda x, *state: (layer(x, state)[0], *layer(x, state)[1]), inputs)
    assert torch.autograd.gradgradcheck(lambda x, *state: layer(x, state)[0], inputs)


@pytest.mark.parametrize("function", [torch.angle, torch.sqrt])
def test_what_is_not_known_runs_as_it_is_and_the_log_says_which(function, caplog, monkeypatch):
    monkeypatch.setattr(engine_run, "_logged", set())
    torch.manual_seed(0)
    layer, x = Recurrent(Diagonal, 3, 8, function=lambda h: h + function(h)), torch.randn(40, 16, 3)
    with caplog.at_level(logging.WARNING, logger="rnnvanish.engine"):
        ours = layer(x)[0]
    assert f"has no {function.__name__} of complex numbers" in caplog.text
    layer.engine = "reference"
    assert torch.equal(ours, layer(x)[0])


def test_a_state_that_becomes_complex_is_refused(monkeypatch):
    monkeypatch.setattr(Diagonal, "initial_state", Cell.initial_state)
    layer = Recurrent(Diagonal, 3, 8, engine="cpu")
    with pytest.raises(RuntimeError, match="a complex state of a real one"):
        layer(torch.randn(4, 2, 3))


@pytest.mark.parametrize("shapes", [[(3, 1)], [(2, 4), (5,)], [(1,), (2,), (3,), (4,), (5,)], [(7, 3), (16, 8)]])
def test_a_step_is_tried_with_a_number_of_sequences_that_is_no_width_and_no_pair_of_one(shapes):
    """A complex row is a pair of real ones: what is as long as it must be told from what has a row for each sequence."""
    tried = batch_for(*map(torch.zeros, shapes))
    assert tried >= 2
    assert not {tried, tried / 2} & {size for shape in shapes for size in shape}
