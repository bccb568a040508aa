"""Layers with a forward of their own, weights made at each forward, teacher forcing by chance: held against explicit loops."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import dropout, relu
from torch.nn.utils import parametrizations, spectral_norm, weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import Recurrent, cells, diagnose
from rnnvanish.diagnosis.advice.replace_cell import Swap
from rnnvanish.probes import retention, weights

TIME, BATCH, WIDTH = 9, 3, 5


def gru(x, h, w, u, b, c):
    """One step by its equations, on one weight of each kind."""
    (xr, xz, xn), (hr, hz, hn) = (x @ w.T + b).chunk(3, -1), (h @ u.T + c).chunk(3, -1)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    return (1 - z) * torch.tanh(xn + r * hn) + z * h


def tanh(x, h, w, u, b, c):
    return torch.tanh(x @ w.T + b + h @ u.T + c)


STEPS = {nn.GRU: gru, nn.RNN: tanh, nn.GRUCell: gru, nn.RNNCell: tanh}


def explicit(module, x, read, u=None, lengths=None, step=None):
    """The gain of an explicit loop: dL/dh of every state, geometric mean over sequences, each from its own end."""
    suffix = "" if isinstance(module, nn.RNNCellBase) else "_l0"
    step = step or next(function for kind, function in STEPS.items() if isinstance(module, kind))
    names = [f"{kind}_{side}{suffix}" for kind in ("weight", "bias") for side in ("ih", "hh")]
    w, hh, b, c = (getattr(module, name, None) for name in names)
    u = hh if u is None else u
    lengths = torch.full((x.shape[1],), len(x)) if lengths is None else lengths
    h, states = x.new_zeros(x.shape[1], module.hidden_size, requires_grad=True), []
    for t, now in enumerate(x):
        going = (t < lengths)[:, None]
        h = torch.where(going, step(now, h, w, u, b, c), h)
        h.retain_grad()
        states.append(h)
    read(torch.stack(states)).backward()
    norms = torch.stack([state.grad.norm(dim=-1) for state in states])
    gains = []
    for lag in range(int(lengths.max())):
        rows = (lengths > lag).nonzero()[:, 0]
        ends = lengths[rows] - 1
        gains.append((norms[ends - lag, rows] / norms[ends, rows]).log().mean().exp())
    return torch.stack(gains)


class Doubling(nn.GRU):
    """Changes its input, by super()."""

    def forward(self, input, hx=None):
        return super().forward(2 * input, hx)


class Explicitly(nn.RNN):
    """Calls torch's forward by the name of its class, by keyword, and returns something else."""

    def forward(self, tokens, *, scale=1.0):
        output, _ = nn.RNN.forward(self, input=scale * tokens)
        return {"last": output[-1] + tokens[-1].sum(-1, keepdim=True), "all": output}


class Directly(nn.RNN):
    """Calls torch's operation on weights of its own making."""

    def forward(self, x):
        h = x.new_zeros(1, x.shape[1], self.hidden_size)
        half = [0.5 * weight if index == 1 else weight for index, weight in enumerate(self._flat_weights)]
        return torch.rnn_tanh(x, h, half, True, 1, 0.0, self.training, False, False)[0]


class Packing(nn.GRU):
    """Packs by itself, and is told lengths."""

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(super().forward(packed)[0])[0]


class WeightDropped(nn.RNN):
    """Weight drop in a subclass: the weight is set at each forward."""

    def __init__(self, *args):
        super().__init__(*args)
        raw = self.weight_hh_l0
        del self._parameters["weight_hh_l0"]
        self.raw = nn.Parameter(raw.data)
        self.weight_hh_l0 = raw.detach()

    def forward(self, x):
        self.weight_hh_l0 = dropout(self.raw, 0.4, self.training)
        return super().forward(x)[0]


class Ours(Recurrent):
    """A subclass of the package's own layer, with lengths by another name."""

    def forward(self, x, valid):
        return super().forward(3 * x, lengths=valid)[0]


class Model(nn.Module):
    """Calls a layer as its forward wants it."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer, self.call = layer.double(), call

    def forward(self, x):
        return self.call(self.layer, x)


def data():
    torch.manual_seed(0)
    return torch.randn(TIME, BATCH, 4, dtype=torch.float64)


def only(curves):
    (curve,) = curves.values()
    return curve


def assert_gain(curve, expected):
    torch.testing.assert_close(curve.gain, expected, rtol=1e-10, atol=0)
    assert curve.notes == ()


LENGTHS = torch.tensor([4, TIME, 6])
OWN = {
    "super": (Doubling, lambda m, x: m(x)[0][-1], lambda x: 2 * x, None),
    "by name and keyword": (Explicitly, lambda m, x: m(tokens=x, scale=3)["last"], lambda x: 3 * x, None),
    "packs": (Packing, lambda m, x: m(x, lengths=LENGTHS)[LENGTHS - 1, range(BATCH)], lambda x: x, LENGTHS),
}


@pytest.mark.parametrize("name", OWN)
def test_a_subclass_keeps_its_own_forward(name):
    kind, call, before, lengths = OWN[name]
    x = data()
    model = Model(kind(4, WIDTH), call)

    def read(states):
        return (states[-1] if lengths is None else states[lengths - 1, range(BATCH)]).sum()

    curves = retention(model, x, loss=torch.sum)
    assert list(curves) == ["layer/layer0/forward"]
    assert_gain(only(curves), explicit(model.layer, before(x), read, lengths=lengths))


def test_sequences_that_a_subclass_packs_are_read_at_their_own_ends():
    x = data()
    model = Model(Packing(4, WIDTH), lambda m, x: m(x, LENGTHS))
    end = retention(model, x, loss=lambda y: y[LENGTHS - 1, range(BATCH)].sum())
    torch.testing.assert_close(only(retention(model, x)).gain, only(end).gain, rtol=0, atol=0)


def test_torch_called_directly_with_other_weights():
    x = data()
    model = Model(Directly(4, WIDTH), lambda m, x: m(x)[-1])
    found = only(retention(model, x))
    assert_gain(found, explicit(model.layer, x, lambda h: h[-1].sum(), u=0.5 * model.layer.weight_hh_l0))


def test_a_subclass_of_ours_keeps_its_own_forward():
    x = data()
    model = Model(Ours(cells.GRU, 4, WIDTH), lambda m, x: m(x, valid=LENGTHS)[LENGTHS - 1, range(BATCH)])
    expected = explicit(model.layer.to_torch(), 3 * x, lambda h: h[LENGTHS - 1, range(BATCH)].sum(), lengths=LENGTHS)
    assert_gain(only(retention(model, x)), expected)
    with pytest.raises(ValueError, match="Ours has a forward of its own"):
        Swap("GRU")(model)


def test_two_calls_of_a_subclass_are_one_loop():
    x = data()
    model = Model(Doubling(4, WIDTH), lambda m, x: m(x[4:], m(x[:4])[1])[0][-1])
    assert_gain(only(retention(model, x)), explicit(model.layer, 2 * x, lambda h: h[-1].sum()))


class OwnCell(nn.GRUCell):
    """A cell that looks at its input first, with other words for its arguments."""

    def forward(self, token, memory):
        return super().forward(relu(token), memory)


def test_a_subclass_of_a_cell_keeps_its_own_forward():
    x = data()

    def run(cell, x):
        h = x.new_zeros(BATCH, WIDTH)
        for token in x:
            h = cell(token=token, memory=h)
        return h

    model = Model(OwnCell(4, WIDTH), run)
    found = only(retention(model, x))
    assert_gain(found, explicit(model.layer, relu(x), lambda h: h[-1].sum()))
    assert diagnose(model, x).curves["layer"].verdict == found.verdict


MADE = {
    "old weight norm": lambda rnn: weight_norm(rnn, "weight_hh_l0"),
    "new weight norm": lambda rnn: parametrizations.weight_norm(rnn, "weight_hh_l0"),
    "old spectral norm": lambda rnn: spectral_norm(rnn, "weight_hh_l0"),
    "new spectral norm": lambda rnn: parametrizations.spectral_norm(rnn, "weight_hh_l0"),
}


@pytest.mark.parametrize("name", MADE)
def test_weights_that_are_computed_at_each_forward(name):
    x = data()
    layer = nn.RNN(4, WIDTH).double()
    model = Model(MADE[name](layer) or layer, lambda m, x: m(input=x)[0][-1]).eval()
    with torch.no_grad():  # what the attribute holds is old from here on
        for parameter in model.parameters():
            if parameter.shape == (WIDTH, WIDTH) or parameter.shape == (WIDTH, 1):
                parameter.mul_(1.5 * torch.rand_like(parameter))
    found, matrix = only(retention(model, x)), only(weights(model))["h"]
    model(x)
    now = model.layer.weight_hh_l0
    assert_gain(found, explicit(model.layer, x, lambda h: h[-1].sum(), u=now))
    assert matrix.norm == pytest.approx(torch.linalg.matrix_norm(now, 2).item(), rel=1e-12)


def test_weight_drop_is_measured_as_a_run_has_it():
    x = data()
    model = Model(WeightDropped(4, WIDTH), lambda m, x: m(x)[-1])
    torch.manual_seed(3)
    found = only(retention(model, x))
    dropped = dropout(model.layer.raw, 0.4)  # the same draw: the generator stands where it stood
    assert (dropped == 0).any()
    assert_gain(found, explicit(model.layer, x, lambda h: h[-1].sum(), u=dropped))
    with pytest.raises(ValueError, match=r"layer.weight_hh_l0 is no parameter.*weight drop"):
        weights(model)
    torch.manual_seed(3)
    diagnosis = diagnose(model, x, lag=4)
    assert diagnosis.measures["layer/layer0/forward"].weights["h"].norm == pytest.approx(
        torch.linalg.matrix_norm(dropped, 2).item(), rel=1e-12
    )


class Forcing(nn.Module):
    """A decoder that is told the truth now and then, by chance."""

    def __init__(self, draw):
        super().__init__()
        self.cell, self.head, self.draw = nn.GRUCell(4, WIDTH), nn.Linear(WIDTH, 4), draw
        self.own = np.random.default_rng(0)

    def forward(self, x):
        h, read = x.new_zeros(BATCH, WIDTH), x[0]
        for truth in x:
            h = self.cell(read, h)
            read = truth if self.draw(self) < 0.5 else self.head(h)
        return h


DRAWS = {
    "random": lambda model: random.random(),
    "numpy": lambda model: np.random.rand(),  # noqa: NPY002
    "torch": lambda model: torch.rand(()).item(),
    "its own": lambda model: model.own.random(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_teacher_forcing_by_chance(name):
    x = data()
    model = Forcing(DRAWS[name]).double()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(5)
    (curve,) = retention(model, x, loss=torch.sum).values()
    h, read, states, told = x.new_zeros(BATCH, WIDTH, requires_grad=True), x[0], [], []
    for truth in x:
        h = gru(read, h, *(getattr(model.cell, f"{k}_{s}") for k in ("weight", "bias") for s in ("ih", "hh")))
        h.retain_grad()
        states.append(h)
        told.append(DRAWS[name](model) < 0.5)  # the draws that the model had: all generators stand where they stood
        read = truth if told[-1] else model.head(h)
    assert len(set(told)) == 2
    h.sum().backward()
    norms = torch.stack([state.grad.norm(dim=-1) for state in states])
    torch.testing.assert_close(curve.gain, (norms / norms[-1]).log().mean(1).exp().flip(0), rtol=1e-10, atol=0)
