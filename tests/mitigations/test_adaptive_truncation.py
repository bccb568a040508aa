"""Adaptively truncated backpropagation: the window in closed form, by brute force, and while a network trains."""

import math

import pytest
import torch
from builds import HIDDEN, INPUT, TORCH, sequences, train_a_little
from torch import nn

from rnnvanish import Recurrent, cells, probes
from rnnvanish.mitigations.adaptive_truncation import AdaptiveTruncation, shortest_window
from rnnvanish.mitigations.truncated_backpropagation import TruncatedBackpropagation


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def last(returned):
    return returned[0][-1].sum()


def window_of(layer):
    (window,) = {float(each.window) for each in layer.cells}
    return window


@pytest.mark.parametrize("bias", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("decay", [0.3, 0.8, 0.95])
def test_a_gradient_that_falls_evenly_has_a_window_in_closed_form(decay, bias):
    """φ_k = βᵏ: lost beyond K is βᴷ / (1 − β), kept (1 − 2 βᵀ) / (1 − β), so K = ⌈ln(bias (1 − 2 βᵀ)) / ln β⌉."""
    lags = 200
    expected = math.ceil(math.log(bias * (1 - 2 * decay**lags)) / math.log(decay))
    assert shortest_window(decay ** torch.arange(lags).double(), bias) == expected
    layer = Recurrent(cells.Elman, INPUT, HIDDEN, bias=False).double()
    layer.cells[0].nonlinearity = nn.Identity()
    layer.cells[0].from_h.weight.data = decay * torch.linalg.qr(torch.randn(HIDDEN, HIDDEN).double()).Q
    cure = AdaptiveTruncation(bias=bias)
    layer = cure(layer)
    cure.observe(layer, 0, sequences(lags), last)
    assert window_of(layer) == expected


def test_the_window_number_by_number():
    """Any gain: sums over the lags that were measured, and over ten thousand more that go on as the line says."""
    for _ in range(20):
        gain = torch.rand(12).double() * 0.7 ** torch.arange(12).double()
        logs, lag = gain[6:].log(), torch.arange(6, 12).double()
        slope = ((lag - lag.mean()) * logs).sum() / (lag - lag.mean()).square().sum()
        going_on = [float(gain[6] * (slope * (k - 6)).exp()) for k in range(6, 10_000)]
        whole = [*gain[:6].tolist(), *going_on]
        lost = [sum(whole[k:]) for k in range(13)]
        kept = max(float(gain[:k].sum()) - lost[k] for k in range(13))
        enough = [k for k in range(1, 13) if lost[k] <= 0.2 * kept]
        expected = 12 if slope >= 0 or not enough else enough[0]
        assert shortest_window(gain, 0.2) == expected


def test_a_gradient_that_does_not_fall_is_not_cut_and_one_that_is_gone_is():
    assert shortest_window(torch.ones(30).double(), 0.1) == 30
    assert shortest_window(torch.linspace(1, 2, 30).double(), 0.1) == 30
    assert shortest_window(torch.tensor([1.0] + [0.0] * 29).double(), 0.1) == 1
    assert shortest_window(torch.ones(1).double(), 0.1) == 1


@pytest.mark.parametrize("kind", TORCH)
def test_it_is_truncation_with_the_window_that_it_found(kind):
    """Values of the plain layer; gradients of one that is cut every so many steps, also where that changes again."""
    plain, x = TORCH[kind][1](num_layers=2, bidirectional=True), sequences(11)
    layer = AdaptiveTruncation()(Recurrent.from_torch(plain))
    for window in (2**30, 4, 3):
        for cell in layer.cells:
            cell.window.fill_(window)
        output = layer(x)[0]
        torch.testing.assert_close(output, plain(x)[0], rtol=1e-12, atol=1e-12)
        found = torch.autograd.grad(output.cos().sum(), list(layer.parameters()))
        cut = TruncatedBackpropagation(window)(Recurrent.from_torch(plain))
        expected = torch.autograd.grad(cut(x)[0].cos().sum(), list(cut.parameters()))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_a_compiled_loop_takes_the_window_as_it_is_now():
    found, x = [], sequences(11)
    for engine in ("reference", "cpu"):
        torch.manual_seed(0)
        layer = AdaptiveTruncation()(Recurrent(cells.Elman, INPUT, HIDDEN, engine=engine).double())
        for window in (2**30, 3):
            layer.cells[0].window.fill_(window)
            found.append(torch.autograd.grad(layer(x)[0].cos().sum(), list(layer.parameters())))
    torch.testing.assert_close(found[:2], found[2:], rtol=1e-10, atol=1e-12)
    assert not torch.allclose(found[0][0], found[1][0])


def test_it_measures_when_it_is_time_and_what_lies_beyond_is_little():
    """The invariant, after some training: of the whole gradient at most `bias` lies beyond the window, and one less is too few."""
    cure = AdaptiveTruncation(bias=0.2, every=3)
    layer, x = train_a_little(cure(nn.GRU(INPUT, HIDDEN)), steps=5).double(), sequences(60)
    windows = []
    for step in range(4):
        cure.observe(layer, step, x, last)
        windows.append(int(window_of(layer)))
        torch.nn.init.orthogonal_(layer.cells[0].cell.from_h.weight)
    assert windows[0] == windows[1] == windows[2] < 60
    cure.observe(layer, 0, x, last)
    window = int(window_of(layer))
    for cell in layer.cells:
        cell.window.fill_(2**30)
    (curve,) = probes.retention(layer, x, last).values()
    share = 1 - curve.gain.cumsum(0) / curve.gain.sum()
    assert share[window - 1] <= 0.2 + 1e-3 < share[window - 2] + 0.02


def test_the_window_is_saved_with_the_model_and_a_plain_checkpoint_loads():
    plain = nn.GRU(INPUT, HIDDEN)
    layer, other = (AdaptiveTruncation()(Recurrent.from_torch(plain)) for _ in range(2))
    layer.cells[0].window.fill_(7.0)
    other.load_state_dict(layer.state_dict())
    assert window_of(other) == 7
    other.load_state_dict(Recurrent(cells.GRU, INPUT, HIDDEN).state_dict())
    assert window_of(other) == 7


@pytest.mark.parametrize("options", [{"bias": 0.0}, {"bias": 1.0}, {"every": 0}])
def test_senseless_numbers(options):
    with pytest.raises(ValueError, match="needs 0 < bias < 1 and every >= 1"):
        AdaptiveTruncation(**options)
