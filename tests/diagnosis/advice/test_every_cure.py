"""Every cure, on every kind of layer and loop: it is tried, with a number, or the report says why it could not be."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import Recurrent, cells
from rnnvanish.diagnosis.advice.own_step import OrthogonalBlocks
from rnnvanish.diagnosis.advice.trials import EXPLODING, VANISHING, try_cures
from rnnvanish.probes import retention


class Model(nn.Module):
    """A recurrent module, its last output, a head."""

    def __init__(self, rnn, width=8):
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


class Packed(Model):
    def forward(self, x):
        _, state = self.rnn(pack_padded_sequence(x, torch.tensor([24, 20, 15]), enforce_sorted=False))
        return self.head(state[-1])


class Loop(Model):
    """A cell in a loop."""

    def forward(self, x):
        state = None
        for row in x:
            state = self.rnn(row, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Stepping(Model):
    """A step of the author's own in a loop."""

    def forward(self, x):
        state = x.new_zeros(x.shape[1], 8)
        for row in x:
            state = self.rnn(row, state)
        return self.head(state)


class OfThisPackage(Model):
    def forward(self, x):
        state = self.rnn.initial_state(x[0])
        for row in x:
            state = self.rnn(row, state)
        return self.head(state[0])


class Inheriting(nn.LSTM):
    """Nothing of its own but how it is built."""

    def __init__(self, width):
        super().__init__(3, width)


class Doubling(nn.GRU):
    def forward(self, x, state=None):
        return super().forward(2 * x, state)


class DoublingCell(nn.GRUCell):
    def forward(self, x, state=None):
        return super().forward(2 * x, state)


class Added(nn.Module):
    def __init__(self):
        super().__init__()
        self.i2h, self.h2h = nn.Linear(3, 8), nn.Linear(8, 8)

    def forward(self, x, h):
        return torch.tanh(self.i2h(x) + self.h2h(h))


class SideBySide(nn.Module):
    def __init__(self):
        super().__init__()
        self.both = nn.Linear(11, 8)

    def forward(self, x, h):
        return torch.tanh(self.both(torch.cat([x, h], dim=1)))


class Products(nn.Module):
    """A gated step over bare parameters, which it multiplies by from both sides."""

    def __init__(self):
        super().__init__()
        self.w, self.u = nn.Parameter(0.3 * torch.randn(3, 8)), nn.Parameter(0.3 * torch.randn(8, 16))
        self.v = nn.Parameter(0.3 * torch.randn(8, 8))

    def forward(self, x, h):
        keep, write = (h @ self.u).chunk(2, dim=1)
        return torch.sigmoid(keep - 2) * h + 0.5 * torch.tanh(write + x @ self.w + torch.matmul(h, self.v.T))


class Holding(nn.Module):
    """A step that has a torch cell, and does something behind it."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 8)

    def forward(self, x, h):
        return 0.5 * self.cell(x, h)


class Hidden(nn.Module):
    """Nothing here is multiplied by the state as it is."""

    def __init__(self):
        super().__init__()
        self.h2h = nn.Linear(8, 8)

    def forward(self, x, h):
        return torch.tanh(self.h2h(0.9 * h) + x.sum(1, keepdim=True))


def normed():
    layer = nn.GRU(3, 8)
    return parametrizations.weight_norm(layer, "weight_hh_l0")


#: How each is built, and how many of the cures for a vanishing gradient can be tried there.
MODELS = {
    "RNN": (lambda: Model(nn.RNN(3, 8)), 6),
    "ReLU": (lambda: Model(nn.RNN(3, 8, nonlinearity="relu")), 7),
    "LSTM": (lambda: Model(nn.LSTM(3, 8)), 7),
    "GRU": (lambda: Model(nn.GRU(3, 8)), 7),
    "stack": (lambda: Model(nn.LSTM(3, 4, 2, bidirectional=True)), 7),
    "no bias": (lambda: Model(nn.GRU(3, 8, bias=False)), 5),
    "packed": (lambda: Packed(nn.GRU(3, 8)), 7),
    "projected": (lambda: Model(nn.LSTM(3, 12, proj_size=8)), 8),
    "normed": (lambda: Model(normed()), 3),
    "Recurrent": (lambda: Model(Recurrent(cells.LSTM, 3, 8)), 7),
    "inheriting": (lambda: Model(Inheriting(8)), 7),
    "own forward": (lambda: Model(Doubling(3, 8)), 4),
    "RNNCell": (lambda: Loop(nn.RNNCell(3, 8)), 4),
    "LSTMCell": (lambda: Loop(nn.LSTMCell(3, 8)), 5),
    "GRUCell": (lambda: Loop(nn.GRUCell(3, 8)), 5),
    "cell with a forward": (lambda: Loop(DoublingCell(3, 8)), 4),
    "Cell": (lambda: OfThisPackage(cells.LSTM(3, 8)), 4),
    "step": (lambda: Stepping(Added()), 1),
    "side by side": (lambda: Stepping(SideBySide()), 1),
    "products": (lambda: Stepping(Products()), 1),
    "holding": (lambda: Stepping(Holding()), 5),
    "hidden": (lambda: Stepping(Hidden()), 0),
    "wrapped": (lambda: nn.DataParallel(Model(nn.GRU(3, 8))), 7),
}


def tried(model, x, **options):
    steps = () if isinstance(model, nn.DataParallel) or isinstance(model.rnn, nn.RNNBase | Recurrent) else [model.rnn]
    return try_cures(model, x, None, retention(model, x, cells=steps), cells=steps, **options)


@pytest.mark.parametrize("name", MODELS)
def test_each_is_tried_or_has_a_reason(name):
    torch.manual_seed(0)
    build, count = MODELS[name]
    model, x = build(), torch.randn(24, 3, 3)
    found = tried(model, x, quick=True)
    assert found.layers
    for trials in found.layers.values():
        assert len(trials) == count
        assert all(not math.isnan(trial.gain) and trial.lag == 23 for trial in trials)
        named = {trial.cure.partition("(")[0].removeprefix("mitigations.") for trial in trials} | {
            cure.partition("(")[0].removeprefix("mitigations.") for cure in found.unfit
        }
        assert named >= {type(cure).__name__ for cure in VANISHING} | {"Chrono"}
        assert not found.unfit.keys() & {trial.cure for trial in trials}
    assert all(len(why.split()) > 6 and "rror" not in why for why in found.unfit.values()), found.unfit


@pytest.mark.parametrize("name", ["step", "side by side", "products"])
def test_the_weights_that_multiply_the_state_are_found_by_looking(name):
    torch.manual_seed(0)
    model, x = MODELS[name][0](), torch.randn(24, 3, 3)
    found = tried(model, x)
    (trial,) = found.layers["rnn"]
    weights = {
        "step": ("rnn.h2h.weight", 0, 8),
        "side by side": ("rnn.both.weight", 3, 8),
        "products": ("rnn.u", 0, -8),
    }
    assert trial.cure.startswith(f"OrthogonalBlocks(weights=({weights[name]}")
    assert trial.draws == 5
    assert "is tried instead" in found.unfit["mitigations.OrthogonalStart(gain=1.0)"]
    typed = {"model": copy.deepcopy(model)}
    torch.rand(5)
    exec(trial.apply, typed)  # noqa: S102
    changed = dict(typed["model"].named_parameters())
    for parameter, first, size in (weights[name], *([("rnn.v", 0, 8)] if name == "products" else [])):
        columns = (changed[parameter] if size > 0 else changed[parameter].T)[:, first : first + 8]
        for block in columns.split(8):
            torch.testing.assert_close(block.T @ block, torch.eye(8), rtol=0, atol=1e-5)
        if first:
            assert torch.equal(changed[parameter][:, :first], model.get_parameter(parameter)[:, :first])
    (curve,) = retention(typed["model"], x, cells=[typed["model"].rnn]).values()
    assert float(curve.gain[-1]) == trial.gain


def test_only_the_named_columns_are_drawn():
    model = nn.ModuleDict({"h2h": nn.Linear(6, 8)})
    before = model["h2h"].weight.clone()
    OrthogonalBlocks((("h2h.weight", 2, 4),))(model)
    assert torch.equal(model["h2h"].weight[:, :2], before[:, :2])
    assert not torch.equal(model["h2h"].weight[:, 2:], before[:, 2:])


def test_an_exploding_loop_of_cells_is_tried_too():
    torch.manual_seed(0)
    model = Loop(nn.RNNCell(3, 8, nonlinearity="relu"))
    with torch.no_grad():
        model.rnn.weight_hh.mul_(8)
    found = tried(model, torch.randn(24, 3, 3), quick=True)
    (trials,) = found.layers.values()
    assert {type(cure).__name__ for cure in EXPLODING} == {
        cure.partition("(")[0].removeprefix("mitigations.") for cure in [*found.unfit, *(each.cure for each in trials)]
    }
    assert [trial.verdict == "exploding" for trial in trials if trial.helps] == sorted(
        trial.verdict == "exploding" for trial in trials if trial.helps
    )
