"""Activations as options of every cell that has one: its equations in plain Python, with another function in their place."""

import inspect
import math
import types
from unittest.mock import patch

import pytest
import torch
from every_cell import assert_same, everything, sequences, state_for
from oracle import BATCH, HIDDEN, INPUT, assert_close, assert_has, drawn, drawn_state, equations, file_of, loaded
from torch import nn

from rnnvanish import Recurrent, cells, probes
from rnnvanish.cell import GATES, NONLINEARITIES

#: What the learnt number of a function is set to: the slope of a PReLU, the b of a modReLU.
LEARNT = 0.3


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def selu(a):
    return 1.0507009873554804934193349852946 * (a if a > 0 else 1.6732632423543772848170429916717 * (math.exp(a) - 1))


#: Written again, number by number.
FUNCTIONS = {
    "tanh": math.tanh,
    "sigmoid": sigmoid,
    "relu": lambda a: max(a, 0.0),
    "leaky_relu": lambda a: a if a > 0 else 0.01 * a,
    "prelu": lambda a: a if a > 0 else LEARNT * a,
    "selu": selu,
    "gelu": lambda a: a * (1 + math.erf(a / math.sqrt(2))) / 2,
    "softsign": lambda a: a / (1 + abs(a)),
    "hardsigmoid": lambda a: min(max(a / 6 + 0.5, 0.0), 1.0),
    "hardtanh": lambda a: min(max(a, -1.0), 1.0),
    "modrelu": lambda a: math.copysign(max(abs(a) + LEARNT, 0.0), a),
}
GATE_FUNCTIONS = {name: FUNCTIONS[name] for name in ("sigmoid", "hardsigmoid", "relu")}
GATE_FUNCTIONS["softsign"] = lambda a: (1 + a / (1 + abs(a))) / 2


def takes(name):
    """The options of a cell that name a function."""
    return set(inspect.signature(cells.ALL[name]).parameters) & {"nonlinearity", "gate_nonlinearity"}


UNITS = [name for name in cells.ALL if "nonlinearity" in takes(name)]
GATED = [name for name in cells.ALL if "gate_nonlinearity" in takes(name)]
#: Their equations have their function in them by another name.
OTHERWISE = {"Elman", "IndRNN", "SCRN", "UnICORNN"}


def default_of(name, option):
    return inspect.signature(cells.ALL[name]).parameters[option].default


def cell_of(name, **options):
    """A cell of drawn weights, with what its functions learn set to one number."""
    torch.manual_seed(0)
    kind = cells.ALL[name]
    cell = drawn(kind(INPUT, HIDDEN, **kind.small, **options)).eval()
    with torch.no_grad():
        for function in (getattr(cell, "nonlinearity", None), getattr(cell, "gate", None)):
            for parameter in () if function is None else function.parameters():
                parameter.fill_(LEARNT)
    return cell


def held(name, unit="tanh", gate="sigmoid"):
    """Hold two steps of a cell against its equations, in which tanh and sigmoid are other functions."""
    assert_has(name, "equations")
    options = {
        option: value
        for option, value in {"nonlinearity": unit, "gate_nonlinearity": gate}.items()
        if option in takes(name)
    }
    cell = cell_of(name, **options)
    weights = {key: value.tolist() for key, value in cell.state_dict().items()}
    module = loaded("equations")[file_of(name)]
    mathematics = types.SimpleNamespace(**vars(math))
    mathematics.tanh = FUNCTIONS[unit]
    state = drawn_state(cell, torch.zeros(BATCH, INPUT).double())
    with patch.object(module, "math", mathematics), patch.object(module, "sigmoid", GATE_FUNCTIONS[gate], create=True):
        for _ in range(2):
            x = torch.randn(BATCH, INPUT).double()
            before = [[part[row].tolist() for part in state] for row in range(BATCH)]
            with torch.no_grad():
                state = cell(x, state)
            for row in range(BATCH):
                _, after = equations(name)(weights, x[row].tolist(), before[row], **cells.ALL[name].small)
                for part, value in zip(state, after, strict=True):
                    assert_close(part[row], value, f"{name} with {unit} and {gate}")


@pytest.mark.parametrize("name", [name for name in UNITS if name not in OTHERWISE])
def test_units_are_what_the_function_of_that_name_makes(name):
    for unit in NONLINEARITIES:
        held(name, unit=unit)


@pytest.mark.parametrize("name", GATED)
def test_gates_are_what_the_function_of_that_name_makes(name):
    for gate in GATES:
        held(name, gate=gate)


@pytest.mark.parametrize("name", sorted(OTHERWISE))
def test_those_whose_equations_are_otherwise(name):
    """Each written again, of the cell's own layers."""
    for unit, function in FUNCTIONS.items():
        cell, x = cell_of(name, nonlinearity=unit), torch.randn(BATCH, INPUT).double()
        state = drawn_state(cell, x)
        with torch.no_grad():
            after = cell(x, state)
            if name == "Elman":
                sums, found = cell.from_x(x) + cell.from_h(state[0]), after[0]
            elif name == "IndRNN":
                sums, found = cell.from_x(x) + cell.u * state[0], after[0]
            elif name == "SCRN":
                sums, found = cell.from_x(x) + state[1] @ cell.p.T + cell.from_h(state[0]), after[0]
            else:
                sums = cell.w * state[0] + cell.from_x(x)
                pace = cell.dt * torch.sigmoid(cell.c)
                found = (state[1] - after[1]) / pace - cell.alpha * state[0]
        assert_close(found, [[function(a) for a in row] for row in sums.tolist()], f"{name} with {unit}")


def test_modrelu_learns_a_number_for_each_unit():
    cell = drawn(cells.Elman(INPUT, HIDDEN, nonlinearity="modrelu"))
    x, h = torch.randn(BATCH, INPUT).double(), torch.randn(BATCH, HIDDEN).double()
    sums, b = (cell.from_x(x) + cell.from_h(h)).tolist(), cell.nonlinearity.bias.tolist()
    assert len(set(b)) == HIDDEN
    expected = [[math.copysign(max(abs(a) + bias, 0.0), a) for a, bias in zip(row, b, strict=True)] for row in sums]
    assert_close(cell(x, (h,))[0], expected, "modReLU")


@pytest.mark.parametrize("name", ["Elman", "LSTM", "GRU"])
def test_compiled_loops_have_them_too(name):
    """Every function as a loop on the CPU: the same outputs and gradients as the plain loop."""
    options = [{"nonlinearity": unit} for unit in NONLINEARITIES]
    options += [{"gate_nonlinearity": gate} for gate in GATES] if name != "Elman" else []
    for each in options if name == "Elman" else options[-5:]:
        layers = []
        for engine in ("cpu", "reference"):
            torch.manual_seed(0)
            layers.append(Recurrent(cells.ALL[name], 4, 6, engine=engine, **each).double())
        x = sequences()
        state = state_for(layers[0], x)
        assert_same(*(everything(layer, x, state) for layer in layers))


@pytest.mark.parametrize("name", UNITS)
def test_what_a_function_learns_starts_as_it_says(name):
    """No draw of a cell's weights reaches it."""
    for unit, start in {"modrelu": 0.0, "prelu": 0.25}.items():
        kind = cells.ALL[name]
        (learnt,) = kind(3, 8, **{**kind.small, "nonlinearity": unit}).nonlinearity.parameters()
        assert learnt.eq(start).all()


def test_every_function_is_a_cells_own():
    assert set(FUNCTIONS) == set(NONLINEARITIES)
    assert set(GATE_FUNCTIONS) == set(GATES)
    assert len(UNITS) > 35
    assert len(GATED) > 25
    for name in UNITS:
        with pytest.raises(ValueError, match=f"{name} needs a nonlinearity of tanh, .* got 'swish'"):
            cells.ALL[name](3, 8, **{**cells.ALL[name].small, "nonlinearity": "swish"})
    with pytest.raises(ValueError, match=r"LSTM needs a gate_nonlinearity of sigmoid, .* got 'tanh'"):
        cells.LSTM(2, 3, gate_nonlinearity="tanh")


@pytest.mark.parametrize("options", [{"nonlinearity": "gelu"}, {"gate_nonlinearity": "softsign"}])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "ProjectedLSTM"])
def test_what_torch_has_not_does_not_go_to_torch(name, options):
    with pytest.raises(ValueError, match=r"torch\.nn has an RNN .* got " + name):
        Recurrent(cells.ALL[name], 2, 8, **options).to_torch()
    assert isinstance(Recurrent(cells.ALL[name], 2, 8).to_torch(), nn.RNNBase)


@pytest.mark.parametrize("unit", ["gelu", "selu", "softsign", "hardtanh"])
def test_a_measure_takes_no_other_function_for_a_gate(unit):
    """What is squashed once more further on is not what the gate was."""
    torch.manual_seed(0)
    plain, other = (Recurrent(cells.MinimalRNN, 2, 4, nonlinearity=each) for each in ("tanh", unit))
    other.load_state_dict(plain.state_dict())
    x = torch.randn(9, 3, 2)
    (before,), (after,) = (probes.saturation(layer, x).values() for layer in (plain, other))
    assert set(after) == set(before) - {"z"}
