"""Reduced and mixed precision, against an explicit loop in the same arithmetic: as near as that has digits."""

import pytest
import torch
from torch import nn

from rnnvanish import diagnose
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.probes import resolution, retention

TIME, BATCH, INPUT, HIDDEN = 8, 6, 3, 16


class Reader(nn.Module):
    """A layer, then a loop of a cell; the loop `explicit` computes the same with a zero added to each of its states."""

    def __init__(self, within=False):
        super().__init__()
        self.layer, self.cell, self.within = nn.LSTM(INPUT, HIDDEN), nn.GRUCell(HIDDEN, HIDDEN), within
        self.head = nn.Linear(HIDDEN, 2)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.within or torch.is_autocast_enabled("cpu")):
            h = x.new_zeros(x.shape[1], HIDDEN)
            for now in self.layer(x)[0]:
                h = self.cell(now, h)
            return self.head(h)

    def explicit(self, x):
        zeros = [[torch.zeros(x.shape[1], HIDDEN, requires_grad=True) for _ in range(3)] for _ in x]
        h, c, g = torch.zeros(3, x.shape[1], HIDDEN, dtype=x.dtype)
        step = nn.LSTMCell(INPUT, HIDDEN)
        weights = {name.removesuffix("_l0"): weight for name, weight in self.layer.named_parameters()}
        for now, (of_h, of_c, of_g) in zip(x, zeros, strict=True):
            h, c = torch.func.functional_call(step, weights, (now, (h, c)))
            h, c = h + of_h.to(h.dtype), c + of_c.to(c.dtype)
            g = self.cell(h, g)
            g = g + of_g.to(g.dtype)
        every = [zero for step in zeros for zero in step]
        found = iter(torch.autograd.grad(self.head(g).float().sum(), every, materialize_grads=True))
        steps = [[next(found).double() for _ in step] for step in zeros]
        layer = torch.stack([torch.cat([a, b], -1).norm(dim=-1) for a, b, _ in steps]).flip(0)
        cell = torch.stack([c.norm(dim=-1) for _, _, c in steps]).flip(0)
        return [(norms / norms[0]).log().mean(1).exp() for norms in (layer, cell)]


@pytest.mark.parametrize("how", ["autocast inside", "autocast outside", "a bfloat16 model"])
def test_equals_an_explicit_loop_in_the_same_arithmetic(how):
    torch.manual_seed(0)
    model, x = Reader(how == "autocast inside"), torch.randn(TIME, BATCH, INPUT)
    if how == "a bfloat16 model":
        model, x = model.bfloat16(), x.bfloat16()
    kept = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=how == "autocast outside"):
        curves = retention(model, x)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled="autocast" in how):
        expected = model.explicit(x)
    assert list(curves) == ["layer/layer0/forward", "cell"]
    for curve, gain in zip(curves.values(), expected, strict=True):
        torch.testing.assert_close(curve.gain.log(), gain.log(), rtol=0, atol=0.05)  # the gains span two decades
    assert all(torch.equal(weight, kept[name]) for name, weight in model.state_dict().items())


class Mixed(nn.Module):
    """What reads its input under autocast, or not."""

    def __init__(self, rnn, mixed):
        super().__init__()
        self.rnn, self.head, self.mixed = rnn, nn.Linear(HIDDEN, 2), mixed

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            return self.head(self.rnn(x)[0][-1])


class Loop(nn.Module):
    """A loop of a step of its own."""

    def __init__(self):
        super().__init__()
        self.step = Own()

    def forward(self, x):
        h = x.new_zeros(x.shape[1], HIDDEN)
        for now in x:
            h = self.step(now, h)
        return h[None], h


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.of_x, self.of_h = nn.Linear(INPUT, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x, h):
        return torch.tanh(self.of_x(x) + self.of_h(h))


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.RNN(INPUT, HIDDEN),
        lambda: nn.LSTM(INPUT, HIDDEN // 2, 2, bidirectional=True),
        lambda: nn.GRU(INPUT, HIDDEN),
        Loop,
    ],
    ids=["RNN", "LSTM", "GRU", "own"],
)
def test_under_autocast_every_step_can_be_repeated_and_causes_are_those_without_it(build):
    torch.manual_seed(0)
    rnn, x = build(), torch.randn(TIME, BATCH, INPUT)
    steps = [Own] if build is Loop else []
    plain, mixed = Mixed(rnn, False), Mixed(rnn, True)
    mixed.head.load_state_dict(plain.head.state_dict())
    expected = retention(plain.double(), x.double(), cells=steps)
    means = {name: cause.means for name, cause in causes(plain, x.double(), cells=steps).items()}
    mixed.float()
    found = retention(mixed, x, cells=steps)
    for name, curve in found.items():
        torch.testing.assert_close(curve.gain.double(), expected[name].gain, rtol=1e-5, atol=0)
        assert any("runs under torch.autocast, and was measured in double" in note for note in curve.notes)
    assert {name: cause.means for name, cause in causes(mixed, x, cells=steps).items()} == {
        name: pytest.approx(each, rel=1e-5, abs=1e-9, nan_ok=True) for name, each in means.items()
    }


class OnlySingle(Mixed):
    def forward(self, x):
        return super().forward(x.float())


def test_what_refuses_double_precision_under_autocast_is_measured_as_it_is_and_has_no_cause():
    torch.manual_seed(0)
    model, x = OnlySingle(nn.RNN(INPUT, HIDDEN), True), torch.randn(TIME, BATCH, INPUT)
    diagnosis = diagnose(model, x, quick=True)
    (curve,) = diagnosis.curves.values()
    exact = Mixed(model.rnn, False)
    exact.head.load_state_dict(model.head.state_dict())
    torch.testing.assert_close(
        curve.gain.log(), retention(exact, x)["rnn/layer0/forward"].gain.log(), rtol=0, atol=0.05
    )
    rounded, unknown = curve.notes
    assert "cannot run in double precision: these numbers are rounded" in rounded
    assert "Its cause is not known" in unknown
    assert "something in the model refuses double precision" in unknown


def test_measures_of_reduced_precision_are_those_of_the_same_numbers():
    """What bfloat16 holds double holds, too: what is measured is what is measured of a copy in double."""
    torch.manual_seed(0)
    model, x = Reader().bfloat16(), torch.randn(TIME, BATCH, INPUT).bfloat16()
    exact = Reader().double()
    exact.load_state_dict(model.state_dict())
    found, expected = causes(model, x), causes(exact, x.double())
    assert {name: cause.means for name, cause in found.items()} == {
        name: pytest.approx(cause.means, rel=1e-9, abs=1e-12) for name, cause in expected.items()
    }
    assert {each.own for each in resolution(model, x).values()} == {"bfloat16"}
