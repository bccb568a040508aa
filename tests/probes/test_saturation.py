"""Saturation: gates whose values are set, and counts of the equations written again."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.probes.saturation import saturation


def only(found):
    (loop,) = found.values()
    return loop


def silent(kind, hidden=3):
    module = getattr(nn, kind)(1, hidden).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    return module


def test_lstm_gates_that_were_set():
    module = silent("LSTM")
    with torch.no_grad():
        module.bias_ih_l0.copy_(torch.tensor([-3.0, -2.9, 9.0] + [9.0, 0.0, 2.0] + [1.48, -1.48, 0.0] + [0.0] * 3))
    found = only(saturation(module, torch.zeros(6, 2, 1).double()))
    assert found.keys() == {"i", "f", "g", "o", "tanh c"}
    assert (found["i"].low.tolist(), found["i"].high.tolist()) == (
        [1, 0, 0],
        [0, 0, 1],
    )  # σ(−3) = 0.047, σ(−2.9) = 0.052
    assert found["f"].mean.tolist() == pytest.approx([1 / (1 + math.exp(-a)) for a in (9, 0, 2)], rel=1e-12)
    assert (found["g"].high.tolist(), found["g"].low.tolist()) == ([1, 0, 0], [0, 1, 0])  # tanh(1.48) = 0.901
    assert found["i"].saturated == pytest.approx(2 / 3)
    assert found["i"].dead.all()  # nothing that they read moves
    assert found["tanh c"].dead.tolist() == [False, False, True]


def test_units_that_stand_at_a_limit_half_of_the_time_and_dead_ones():
    module = silent("RNN")
    with torch.no_grad():
        module.weight_ih_l0.copy_(torch.tensor([[4.0], [0.1], [0.0]]))
    x = torch.tensor([1.0, -1.0] * 5).double()[:, None, None]
    units = only(saturation(module, x))["h"]
    assert (units.low.tolist(), units.high.tolist()) == ([0.5, 0, 0], [0.5, 0, 0])
    assert units.dead.tolist() == [False, False, True]
    rectified = Recurrent(cells.Elman, 1, 3, nonlinearity="relu").double()
    with torch.no_grad():
        for weight in rectified.parameters():
            weight.zero_()
        rectified.cells[0].from_x.weight.copy_(torch.tensor([[1.0], [1.0], [1.0]]))
        rectified.cells[0].from_x.bias.copy_(torch.tensor([0.0, 3.0, -3.0]))
    units = only(saturation(rectified, x))["h"]
    assert (units.low.tolist(), units.high.tolist()) == ([0.5, 0, 1], [0, 0, 0])
    assert units.dead.tolist() == [False, False, True]


@pytest.mark.parametrize("wrapped", [False, True])
def test_gru_against_the_equations_written_again(wrapped):
    torch.manual_seed(0)
    module = nn.GRU(2, 5).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(6)
    x, lengths = torch.randn(9, 2, 2).double(), [9, 4]
    w, u, b, c = (getattr(module, f"{name}_l0").detach() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    rows = {"r": [], "z": [], "n": []}
    for sequence, length in enumerate(lengths):
        h = torch.zeros(5).double()
        for t in range(length):
            a, d = w @ x[t, sequence] + b, u @ h + c
            r, z = 1 / (1 + (-a - d)[:5].exp()), 1 / (1 + (-a - d)[5:10].exp())
            n = (a[10:] + r * d[10:]).tanh()
            h = (1 - z) * n + z * h
            for name, value in (("r", r), ("z", z), ("n", n)):
                rows[name].append(value)
    if wrapped:
        found = saturation(mitigations.SkipThroughTime(2, 0.0)(module), (x, None, torch.tensor(lengths)))
    else:
        found = saturation(module, pack_padded_sequence(x, torch.tensor(lengths)))
    for name, values in rows.items():
        value, gate = torch.stack(values), only(found)[name]
        low, high = (-0.9, 0.9) if name == "n" else (0.05, 0.95)
        torch.testing.assert_close(gate.mean, value.mean(0), rtol=0, atol=1e-12)
        assert torch.equal(gate.low, (value <= low).double().mean(0))
        assert torch.equal(gate.high, (value >= high).double().mean(0))
    assert 0.1 < only(found)["z"].saturated < 0.9


def test_limits_that_are_not_known_are_not_guessed():
    found = only(saturation(Recurrent(cells.Elman, 1, 3, nonlinearity="prelu"), torch.randn(5, 2, 1)))["h"]
    assert found.low.isnan().all()
    assert not found.dead.any()
