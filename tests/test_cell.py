"""What a cell says of itself: true of each cell that is listed, and read of any cell that says it."""

import ast
import math
import re
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
from torch import nn

import rnnvanish
from rnnvanish import Recurrent, cells, diagnose, mitigations, probes
from rnnvanish.cell import Cell, Keeps, Paper, recurrent_layers
from rnnvanish.mitigation import Wrapper, wrap


def jacobian_of_part(cell, part):
    """How a part of the state after a step, of one sequence, changes with that part before it."""
    x, state = torch.randn(1, 3).double(), list(cell.initial_state(torch.zeros(1, 3).double()))
    state = [torch.randn_like(each) for each in state]

    def step(value):
        before = [value[None] if place == part else each for place, each in enumerate(state)]
        return cell(x, tuple(before))[part][0]

    return torch.func.jacrev(step)(state[part][0])


class Update(Cell):
    """h ← (1 − u) h + u n: the second gate, closed, keeps; a layer for each, and one bias."""

    paper = Paper("Nobody", 2000, "A cell of a test", "https://example.org")
    gate_names = MappingProxyType({"from_x": ("n", "u"), "to_n": ("n",), "to_u": ("u",)})
    keeps = Keeps("u", "h", called="update", closed=True)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.to_n = nn.Linear(hidden_size, hidden_size, bias=False)
        self.to_u = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x, state):
        (h,) = state
        n, u = self.from_x(x).chunk(2, dim=-1)
        return (torch.lerp(h, torch.tanh(n + self.to_n(h)), torch.sigmoid(u + self.to_u(h))),)


class Unsaid(Update):
    """The same, and says nothing."""

    gate_names, keeps = Cell.gate_names, None


def update(hidden=40, cell=Update):
    torch.manual_seed(0)
    return Recurrent(cell, 3, hidden).double()


def biases(layer):
    candidate, gate = layer.cells[0].from_x.bias.detach().chunk(2)
    return candidate.clone(), gate.clone()


def test_cures_of_the_gate_that_keeps_find_it_by_what_the_cell_says():
    layer = update()
    candidate, _ = biases(layer)
    _, gate = biases(mitigations.OpenGate(3.0)(layer))
    assert gate.tolist() == [-3.0] * 40
    _, gate = biases(mitigations.Chrono(30)(layer))
    assert (-gate).min() > 0
    assert gate.unique().numel() == 40
    assert (-gate).max() < math.log(29)
    _, gate = biases(mitigations.UniformGate()(layer))
    assert 1 / 40 <= torch.sigmoid(gate).min() < torch.sigmoid(gate).max() <= 1 - 1 / 40
    torch.testing.assert_close(biases(layer)[0], candidate)
    torch.testing.assert_close(jacobian_of_part(mitigations.OpenGate(20.0)(layer).cells[0], 0), torch.eye(40).double())


@pytest.mark.parametrize("cure", [mitigations.OrthogonalStart(), mitigations.OrthogonalConstraint()])
def test_each_layer_that_multiplies_the_state_is_made_orthogonal(cure):
    (found,) = probes.weights(cure(update())).values()
    assert list(found) == ["n", "u"]
    assert [matrix.from_orthogonal for matrix in found.values()] == pytest.approx([0, 0], abs=1e-9)


def test_each_layer_is_normalised():
    layer, x = mitigations.LayerNormalisation()(update()), torch.randn(4, 2, 3).double()
    before = layer(x)[0]
    for name in ("from_x", "to_n", "to_u"):
        with torch.no_grad():
            layer.cells[0].get_submodule(name).weight.mul_(7)
        torch.testing.assert_close(layer(x)[0], before, rtol=0, atol=1e-3)  # but for the epsilon of the norm


def test_what_each_layer_reads_of_the_state_is_dropped():
    layer = mitigations.VariationalDropout(0.5)(update()).train()
    wrapped, h, x = layer.cells[0], torch.randn(2, 40).double(), torch.randn(2, 3).double()
    mask, plain = 2 * torch.randint(2, (2, 40)).double(), wrapped.cell
    n, u = plain.from_x(x).chunk(2, dim=-1)
    n, u = torch.tanh(n + plain.to_n(mask * h)), torch.sigmoid(u + plain.to_u(mask * h))
    torch.testing.assert_close(wrapped(x, (h, mask))[0], (1 - u) * h + u * n)


def test_its_gates_are_measured_by_their_names():
    layer, x = update(), torch.randn(6, 2, 3).double()
    with torch.no_grad():
        layer.cells[0].from_x.bias[40:] = 9.0
    (found,) = probes.saturation(layer, x).values()
    assert list(found) == ["u", "n"]
    assert found["u"].high.min() == 1.0


class Halved(Wrapper):
    """Hands half of the state to the cell."""

    def forward(self, x, state):
        return self.cell(x, tuple(part / 2 for part in state))


def test_they_are_measured_inside_of_a_wrapper():
    layer, x = wrap(update(), Halved), torch.randn(6, 2, 3).double()
    (found,) = probes.saturation(layer, x).values()
    assert list(found) == ["u", "n"]
    assert found["u"].mean.mean() == pytest.approx(0.5, abs=0.1)


class Peeping(Update):
    """The gate reads the state itself, too; and the candidate's block is used for two things."""

    def forward(self, x, state):
        (h,) = state
        n, u = self.from_x(x).chunk(2, dim=-1)
        n = n + self.to_n(h)
        return (torch.lerp(h, torch.tanh(n) * torch.sigmoid(n), torch.sigmoid(u + self.to_u(h) + 3 * h)),)


def test_what_is_added_to_a_gate_is_seen_and_what_is_no_single_value_left_out():
    layer, x = wrap(update(cell=Peeping), Halved), torch.randn(1, 2, 3).double()
    h = torch.randn(1, 2, 40).double()
    cell = layer.cells[0].cell
    u = torch.sigmoid(cell.from_x(x[0]).chunk(2, dim=-1)[1] + cell.to_u(h[0] / 2) + 1.5 * h[0])
    (found,) = probes.saturation(layer, (x, h)).values()
    assert list(found) == ["u"]
    torch.testing.assert_close(found["u"].mean, u.mean(0).detach())


class Renamed(cells.LSTM):
    """A subclass may compute something else: it is not torch's twin because what it is made of is."""


def test_a_subclass_is_no_twin():
    with pytest.raises(ValueError, match=r"torch.nn has an RNN .* got Renamed"):
        Recurrent(Renamed, 3, 4).to_torch()


def test_a_gate_that_erases_is_found_and_mended():
    layer, x = update(8), torch.randn(40, 2, 3).double()
    with torch.no_grad():
        layer.cells[0].from_x.bias[8:] = 4.0
    diagnosis = diagnose(layer, x)
    (found,) = [each for each in diagnosis.findings if each.fault == "open update gate"]
    assert found.after > found.before
    (curve,) = diagnosis.curves.values()
    assert curve.cause.startswith("The update gates keep 0.0")
    assert "taken apart" not in curve.cause


@pytest.mark.parametrize("heads", [4, 0])
@pytest.mark.parametrize("cell", [cells.SLSTM, cells.MLSTM, cells.DeltaNet])
def test_heads_have_all_the_units_between_them(cell, heads):
    with pytest.raises(
        ValueError, match=f"{cell.__name__} needs a hidden_size that is a multiple of its {heads} heads, got 6"
    ):
        Recurrent(cell, 3, 6, heads=heads)


def test_of_a_cell_that_says_nothing_the_step_says_what_it_does():
    layer, x = update(8, Unsaid), torch.randn(9, 2, 3).double()
    assert recurrent_layers(layer.cells[0]) == {}
    (found,) = probes.saturation(layer, x).values()
    assert list(found) == ["h"]
    assert probes.weights(layer) == {"Recurrent/layer0/forward": {}}
    with pytest.raises(ValueError, match="OpenGate suits no layer of this model, which has Unsaid"):
        mitigations.OpenGate()(layer)
    (curve,) = diagnose(layer, x).curves.values()
    assert re.match(r"A step keeps [\d.]+ of h\. .* \(the recurrent weights\) .* \(the gates\)", curve.cause)


#: Where a cell or torch's twin of it may be named: the catalogue, its pages' computations, and the bridge to torch.
ALLOWED = (
    "cells/",
    "experiments/",
    "exercises/",
    "names.py",
    "torch_bridge.py",
)  # names.py: another name that people type
NAME = re.compile(r"(?i:lstm|elman)|GRU|(?<![a-z])gru(?![a-z])")


def named_in(tree):
    """Every name in code, and every string that is no docstring and no sentence: who decides by a name has it there."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        words = [getattr(node, field, None) for field in ("id", "attr", "name", "asname", "arg", "module")]
        if isinstance(node, ast.Constant) and id(node) not in docstrings and " " not in str(node.value):
            words.append(node.value)
        yield from ((word, getattr(node, "lineno", 0)) for word in words if isinstance(word, str))


def test_no_decision_is_made_by_the_name_of_a_cell():
    package = Path(rnnvanish.__file__).parent
    found = [
        f"{path.relative_to(package)}:{line}: {word}"
        for path in sorted(package.rglob("*.py"))
        if not path.relative_to(package).as_posix().startswith(ALLOWED)
        for word, line in named_in(ast.parse(path.read_text(encoding="utf-8")))
        if NAME.search(word)
    ]
    assert not found, "A cell says what it is (`gate_names`, `keeps`, ...): ask that, not its name.\n" + "\n".join(
        found
    )


@pytest.mark.parametrize(
    "code", ["cell is LSTM", "nn.GRUCell", "kind == 'Elman'", "{'aten.lstm': 1}", "from a import lstm", "f(lstm=1)"]
)
def test_a_name_in_code_is_seen(code):
    assert [word for word, _ in named_in(ast.parse(code)) if NAME.search(word)]


@pytest.mark.parametrize(
    "code", ['"""An LSTM."""', "raise ValueError('An LSTM is needed.')", "congruent = 'congruent'"]
)
def test_words_for_a_reader_are_none(code):
    assert not [word for word, _ in named_in(ast.parse(code)) if NAME.search(word)]
