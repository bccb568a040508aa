"""Retention by compiled loops against retention step by step, which the other tests hold against an explicit loop."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import Recurrent, cells
from rnnvanish.engine import run
from rnnvanish.observe import compiled_loops
from rnnvanish.probes import retention

TIME, BATCH, INPUT, HIDDEN = 9, 5, 3, 4
KINDS = {
    "RNN": nn.RNN,
    "LSTM": nn.LSTM,
    "GRU": nn.GRU,
    "Recurrent": lambda *sizes, **options: Recurrent(cells.GRU, *sizes, **options),
}


class Tagger(nn.Module):
    """Words in, a number for each step out."""

    def __init__(self, kind, **options):
        super().__init__()
        self.embedding = nn.Embedding(11, INPUT)
        self.layers = KINDS[kind](INPUT, HIDDEN, **options)
        self.head = nn.LazyLinear(1)

    def forward(self, words, lengths=None):
        x = self.embedding(words)
        if lengths is not None:
            x = pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, _ = self.layers(x)
        return self.head(output.data if lengths is not None else output)


class Windows(nn.Module):
    """A layer that is called several times, and goes on where it ended."""

    def __init__(self, grown):
        super().__init__()
        self.rnn = nn.RNN(INPUT, HIDDEN, nonlinearity="relu")
        with torch.no_grad():
            self.rnn.weight_hh_l0.mul_(grown)

    def forward(self, x):
        outputs, state = [], None
        for window in x.split(len(x) // 2):
            output, state = self.rnn(window, state)
            outputs.append(output)
        return torch.cat(outputs)


@pytest.fixture(autouse=True)
def worth_it(monkeypatch):
    """Have loops run compiled however short they are."""
    monkeypatch.setattr(compiled_loops, "MIN_STEPS", 2)
    monkeypatch.setattr(run, "SMALLEST", 0)


@pytest.fixture
def measured(monkeypatch):
    """Measure both ways, and see that the loops did run compiled; what is said of the run is the same."""

    def both(model, inputs, loss=None, loops=None):
        calls = []
        original = compiled_loops.run_compiled

        def counted(*args):
            calls.append(original(*args))
            return calls[-1]

        with monkeypatch.context() as patch:
            patch.setattr(compiled_loops, "run_compiled", counted)
            fast = retention(model, inputs, loss)
        assert len(calls) % (loops or len(fast)) == 0
        assert calls
        with monkeypatch.context() as patch:
            patch.setattr(compiled_loops, "run_compiled", refused)
            slow = retention(model, inputs, loss)
        assert list(fast) == list(slow)
        for ours, theirs in zip(fast.values(), slow.values(), strict=True):
            equal(ours, theirs)
        return fast

    return both


def refused(*args):
    raise compiled_loops.Unsupported("compiled loop in this test")


def equal(ours, theirs, rtol=1e-9):
    assert (ours.total is None, ours.alone is None) == (theirs.total is None, theirs.alone is None)
    assert ours.notes == theirs.notes
    for curve, other in [(ours, theirs)] + ([(ours.total, theirs.total)] if ours.total else []):
        torch.testing.assert_close(curve.gain, other.gain, rtol=rtol, atol=0, equal_nan=True)
        for name in curve.names:
            torch.testing.assert_close(curve.parts[name], other.parts[name], rtol=rtol, atol=0, equal_nan=True)


LOSSES = {
    "default": None,
    "end": lambda output: output[-1].square().sum(),
    "every step": lambda output: output.square().sum(),
    "early": lambda output: output[3].square().sum(),
}


@pytest.mark.parametrize(
    ("kind", "loss"),
    [("RNN", "early"), ("LSTM", "default"), ("LSTM", "every step"), ("GRU", "end"), ("Recurrent", "every step")],
)
def test_a_model_of_layers_and_directions(kind, loss, measured):
    torch.manual_seed(0)
    model = Tagger(kind, num_layers=2 if kind == "LSTM" else 1, bidirectional=True).double()
    words = torch.randint(11, (TIME, BATCH))
    model(words)
    measured(model, words, LOSSES[loss])
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(("kind", "loss"), [("LSTM", "every step"), ("GRU", "default")])
def test_sequences_that_end_early(kind, loss, measured):
    torch.manual_seed(0)
    model = Tagger(kind, bidirectional=True).double()
    words, lengths = torch.randint(11, (TIME, BATCH)), torch.tensor([7, TIME, 1, TIME - 1, 4])
    model(words, lengths)
    measured(model, (words, lengths), LOSSES[loss])


@pytest.mark.parametrize(
    ("loss", "grown"), [("default", 1.0), ("default", 9.0), ("every step", 1.0), ("early", 9.0), ("end", 9.0)]
)
def test_a_loop_of_several_calls(loss, grown, measured):
    torch.manual_seed(0)
    x = torch.randn(2 * TIME, BATCH, INPUT, dtype=torch.float64)
    (curve,) = measured(Windows(grown).double(), x, LOSSES[loss], loops=2).values()
    assert len(curve.gain) == (4 if loss == "early" else 2 * TIME)  # lags are counted from where it is read


def test_single_precision_that_underflows_is_measured_in_double(measured):
    torch.manual_seed(0)
    (curve,) = measured(nn.LSTM(INPUT, HIDDEN), torch.randn(200, BATCH, INPUT)).values()
    assert curve.gain[-1] < 1e-38


def test_frozen_weights_and_a_second_derivative(monkeypatch):
    """A penalty on a gradient takes a way that no compiled loop hands out: then all is measured step by step."""

    def penalty(output):
        (slope,) = torch.autograd.grad(output.square().sum(), model.embedding.weight, create_graph=True)
        return slope.square().sum()

    torch.manual_seed(0)
    model = Tagger("GRU").double()
    words = torch.randint(11, (TIME, BATCH))
    model(words)
    for parameter in model.layers.parameters():
        parameter.requires_grad_(False)
    (ours,) = retention(model, words, penalty).values()
    monkeypatch.setattr(compiled_loops, "run_compiled", refused)
    (theirs,) = retention(model, words, penalty).values()
    equal(ours, theirs, rtol=0)
