"""One infinite or absurd input of many: which it is, and what the gates keep without it; and inputs that are rare, but real."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import diagnose
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.diagnosis.find_faults import find

STEP, SEQUENCE, FEATURE = 17, 3, 1


def planted(value, time=30):
    torch.manual_seed(0)
    x = torch.randn(time, 8, 2)
    x[STEP, SEQUENCE, FEATURE] = value
    return x


def kept_by_hand(layer, x):
    """Geometric mean of the forget gates, without the step that was planted."""
    w, u, b = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0 + layer.bias_hh_l0
    h = c = torch.zeros(8, layer.hidden_size, dtype=x.dtype)
    logs = []
    for t, now in enumerate(x):
        i, f, g, o = (now @ w.T + h @ u.T + b).chunk(4, -1)
        logs += [f[row].sigmoid().log() for row in range(8) if (t, row) != (STEP, SEQUENCE)]
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    return float(torch.stack(logs).mean().exp().detach())


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e30, -9999.0])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_it_is_named(kind, value):
    x = planted(value)
    (finding,) = [each for each in find(kind(2, 16), x) if each.fault == "absurd input"]
    assert f"one is {value:.3g}" in finding.seen.replace("-1e+04", f"{value:.3g}")
    assert "sequence 3, step 17, feature 1, each counted from 0" in finding.seen
    assert finding.before > 1000
    assert finding.after < 10


@pytest.mark.parametrize("value", [math.inf, 1e30])
def test_the_gate_is_told_without_it(value):
    x = planted(value)
    layer = nn.LSTM(2, 16)
    by_hand = kept_by_hand(layer.double(), x.double())
    (cause,) = causes(layer, x.double()).values()
    assert cause.kept == pytest.approx(by_hand, rel=1e-9)
    diagnosis = diagnose(layer, x.double())
    assert f"The forget gates keep {by_hand:.2g} of the cell" in diagnosis.curves["LSTM/layer0/forward"].cause
    assert f"Without it the forget gates keep {by_hand:.3g} of the cell" in diagnosis.findings[0].seen


def test_of_a_packed_batch_the_callers_sequence_is_named():
    x = planted(1e30)
    packed = pack_padded_sequence(x, torch.tensor([20, 22, 24, 28, 20, 30, 19, 20]), enforce_sorted=False)
    (finding,) = find(nn.LSTM(2, 16), packed)
    assert "sequence 3, step 17, feature 1" in finding.seen


def test_steps_that_the_model_calls_by_itself_and_rectifiers_have_it_too():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = nn.GRUCell(2, 16)

        def forward(self, x):
            h = x.new_zeros(8, 16)
            for now in x:
                h = self.step(now, h)
            return h

    (finding,) = find(Loop(), planted(1e30))
    assert (finding.fault, finding.layer) == ("absurd input", "step")
    assert finding.after < 10
    relu = nn.RNN(2, 16, nonlinearity="relu")
    assert [each.fault for each in find(relu, planted(1e9))] == ["absurd input"]


def outlying():
    return planted(15.0)


def silence():
    """Mostly nothing, and at times a word a thousand times as loud."""
    x = 1e-3 * planted(0.0)
    x[5:7] = torch.randn(2, 8, 2)
    return x


def sparse():
    return planted(0.0) * (torch.rand(30, 8, 1) < 0.05)


@pytest.mark.parametrize("draw", [outlying, silence, sparse, lambda: planted(0.0)])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.RNN])
def test_what_is_rare_but_saturates_nothing_is_no_fault(kind, draw):
    assert find(kind(2, 16), draw()) == ()


def test_what_keeps_the_gate_shut_again_and_again_is_not_left_out_of_it():
    x = planted(0.0)
    x[::3] = 500.0
    layer = nn.LSTM(2, 16)
    with torch.no_grad():
        layer.weight_ih_l0[16:32] = -layer.weight_ih_l0[16:32].abs()  # of all units
    (cause,) = causes(layer, x).values()
    assert cause.kept < 1e-3


def test_fill_values_of_a_fifth_of_the_steps_are_named():
    x = planted(0.0)
    x[::5, :, 1] = -9999.0
    (finding,) = find(nn.LSTM(2, 16), x)
    assert "one is -1e+04" in finding.seen
    assert "47 more steps are like it" in finding.seen
    assert finding.after < 10


def test_what_makes_the_model_return_no_number_is_named_by_its_place():
    x = planted(math.nan)
    with pytest.raises(
        ValueError, match=r"The input 0 is not finite: 1 of its 480 numbers .* the first at \[17, 3, 1\]"
    ):
        find(nn.LSTM(2, 16), x)
