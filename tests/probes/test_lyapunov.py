"""Lyapunov exponents: maps whose spectrum is known, and intervals that hold what they promise."""

import math
import sys

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent
from rnnvanish.cell import Cell, Paper
from rnnvanish.probes.lyapunov import lyapunov, spectrum


class Map(Cell):
    """A map of the state that looks at no input, or multiplies by its exponential."""

    paper = Paper("nobody", 2000, "Map", "https://example.org")
    function = None

    def forward(self, x, state):
        return (type(self).function(state[0], x),)


def network(function, size):
    return Recurrent(type("Map", (Map,), {"function": staticmethod(function)}), 1, size)


def run(function, start, steps, **options):
    x = torch.zeros(steps, len(start), 1).double()
    return spectrum(network(function, start.shape[1]), (x, start.double()[None]), **options)


def test_a_symmetric_map():
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(4, 4).double()).Q
    factors = torch.tensor([0.9, 0.6, 0.3, 0.1], dtype=torch.float64)
    matrix = turn @ torch.diag(factors) @ turn.T
    found = run(lambda s, x: s @ matrix.T, torch.ones(1, 4), 100, warm_up=70)
    torch.testing.assert_close(found.exponents[0], factors.log(), rtol=0, atol=1e-10)
    assert found.error.max() < 1e-10
    assert found.steps == (30,)


def test_a_map_that_is_far_from_normal():
    matrix = torch.tensor([[0.5, 30.0], [0.0, 0.8]], dtype=torch.float64)
    found = run(lambda s, x: s @ matrix.T, torch.ones(1, 2), 140, warm_up=110)
    assert found.exponents[0].tolist() == pytest.approx([math.log(0.8), math.log(0.5)], abs=1e-9)


def test_arnolds_cat():
    matrix = torch.tensor([[2.0, 1.0], [1.0, 1.0]]).double()
    found = run(lambda s, x: (s @ matrix.T).remainder(1.0), torch.tensor([[0.3, 0.8]]), 80, warm_up=20)
    exact = math.log((3 + math.sqrt(5)) / 2)
    assert found.exponents[0].tolist() == pytest.approx([exact, -exact], abs=1e-9)


def test_henons_map():
    """Their sum is ln 0.3 at every step; the first is 0.4192 (Sprott 2003, Chaos and Time-Series Analysis)."""

    def henon(s, x):
        return torch.stack([1 - 1.4 * s[:, 0].square() + s[:, 1], 0.3 * s[:, 0]], dim=-1)

    start = torch.tensor([[0.1 + 0.02 * k, 0.1] for k in range(16)])
    found = run(henon, start, 200, warm_up=40)
    torch.testing.assert_close(
        found.exponents.sum(1), torch.full((16,), math.log(0.3), dtype=torch.float64), rtol=0, atol=1e-10
    )
    assert found.exponents[:, 0].mean().item() == pytest.approx(0.4192, abs=0.01)
    inside = (found.exponents[:, 0] - 0.4192).abs() < found.error[:, 0]
    assert inside.double().mean() > 0.7


def test_nineteen_of_twenty_intervals_hold_the_truth():
    """A state that is multiplied by e^x, x noise with a memory of a few steps and mean −0.1: that is the exponent."""
    generator, steps, count = torch.Generator().manual_seed(0), 200, 300
    noise, x = torch.randn(steps, count, generator=generator).double(), torch.zeros(steps, count).double()
    x[0] = noise[0] / math.sqrt(1 - 0.6**2)
    for t in range(1, steps):
        x[t] = 0.6 * x[t - 1] + noise[t]
    found = spectrum(network(lambda s, x: s * x.exp(), 1), ((x - 0.1)[..., None], torch.ones(1, count, 1).double()))
    inside = (found.exponents[:, 0] + 0.1).abs() < found.error[:, 0]
    assert 0.9 < inside.double().mean() < 0.98
    assert run(lambda s, x: 0.5 * s, torch.ones(1, 1), 19).error.isinf().all()  # too short to say


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_products_with_vectors_say_the_same_as_matrices(kind, monkeypatch):
    torch.manual_seed(0)
    module, x = getattr(nn, kind)(2, 4).double(), torch.randn(25, 3, 2).double()
    exact = spectrum(module, x, count=3)
    monkeypatch.setattr(sys.modules[spectrum.__module__], "DENSE", 0)
    drawn = spectrum(module, x, count=3)
    torch.testing.assert_close(drawn.exponents, exact.exponents, rtol=0, atol=1e-11)
    torch.testing.assert_close(drawn.error, exact.error, rtol=0, atol=1e-11)
    torch.testing.assert_close(lyapunov(module, x, count=3), exact.exponents, rtol=0, atol=1e-11)


def test_of_a_large_state_the_leading_ones():
    factors = torch.tensor([0.99, 0.9] + [0.3] * 298, dtype=torch.float64)
    found = run(lambda s, x: s * factors, torch.ones(1, 300), 70, count=2, warm_up=40)
    assert found.exponents[0].tolist() == pytest.approx([math.log(0.99), math.log(0.9)], abs=1e-5)


def test_a_warm_up_leaves_steps():
    with pytest.raises(ValueError, match="has 9 steps: needs a warm-up of 0 to 8, got 9"):
        spectrum(nn.GRU(1, 2), torch.zeros(9, 1, 1), warm_up=9)
