"""What is measured of a model comes from one watched run of it: how often things are done, not how long they take."""

from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish.backward.replay import Replay
from rnnvanish.diagnosis.advice.trials import try_cures
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.diagnosis.examine import examine
from rnnvanish.observe import compiled_loops, unroll
from rnnvanish.probes import bypass, depth, resolution, retention, saturation, sensitivity, shares

RUNS = Counter()  # of a model; a snapshot of a model does not reach here


class Reader(nn.Module):
    def __init__(self, kind="LSTM"):
        super().__init__()
        self.memory, self.head = getattr(nn, kind)(2, 8), nn.Linear(8, 1)

    def forward(self, x):
        RUNS[type(self)] += 1
        return self.head(self.memory(x)[0][-1])


@pytest.fixture
def done(monkeypatch):
    """How many rows are replayed, and how many steps are recorded one by one."""
    count, steps_at, recorded_step = Counter(), Replay.steps_at, unroll._recorded_step

    def counted_steps(self, step, *args):
        count["rows"] += len(step)
        return steps_at(self, step, *args)

    def counted_recorded_step(*args):
        count["recorded"] += 1
        return recorded_step(*args)

    monkeypatch.setattr(Replay, "steps_at", counted_steps)
    monkeypatch.setattr(unroll, "_recorded_step", counted_recorded_step)
    RUNS.clear()
    return count


@pytest.mark.parametrize("steps", [20, 400], ids=["held by single precision", "measured in double"])
def test_a_model_runs_as_it_is_watched_and_in_double(done, steps):
    torch.manual_seed(0)
    (found,) = examine(Reader(), torch.randn(steps, 3, 2)).values()
    assert not [
        name for name, measure in found.measures.items() if measure is None and name not in ("cases", "spectrum")
    ]
    assert RUNS[Reader] == 3
    assert done["rows"] == steps * 3  # every step of every sequence once


def test_a_long_loop_is_not_taken_step_by_step(done):
    torch.manual_seed(0)
    examine(nn.LSTM(2, 16), torch.randn(40, 4, 2))
    assert done["recorded"] == 2 * 40  # as it is, and in double
    done.clear()
    examine(nn.LSTM(2, 16), torch.randn(120, 4, 2))
    assert done["recorded"] == 0


def test_measures_that_are_taken_alone_are_those_of_the_one_run():
    torch.manual_seed(0)
    model, x = Reader("GRU").double(), torch.randn(70, 3, 2).double()
    name = "memory/layer0/forward"
    found = examine(model, x)[name]
    torch.testing.assert_close(found.curve.gain, retention(model, x)[name].gain, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.cause.gain, causes(model, x)[name].gain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.measures.shares.all, shares(model, x)[name].all, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.measures.sensitivity.size, sensitivity(model, x)[name].size, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.measures.bypass.share, bypass(model, x)[name].share, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.measures.saturation["z"].mean, saturation(model, x)[name]["z"].mean)
    assert found.measures.depth.gain == pytest.approx(depth(model, x)[name].gain, rel=1e-12)
    assert found.measures.resolution.lost_from == resolution(model, x)[name].lost_from


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.GRU(2, 12, 2, bidirectional=True)

    def forward(self, x):
        packed = pack_padded_sequence(x, torch.tensor([70, 66, 50]), enforce_sorted=False)
        return self.memory(packed)[1][-2:].transpose(0, 1)


class Padded(nn.Module):
    """Reads each sequence where its padding begins."""

    def __init__(self):
        super().__init__()
        self.memory = nn.LSTM(2, 12)

    def forward(self, x):
        return self.memory(x)[0][torch.tensor([69, 40, 55]), torch.arange(3)]


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.RNN(2, 12)

    def forward(self, x):
        output, _ = self.memory(x)
        return ((output * output[-1]).sum(-1, keepdim=True).softmax(0) * output).sum(0)


@pytest.mark.parametrize("kind", [Packed, Padded, Attending])
def test_a_compiled_loop_gives_what_the_plain_one_does(done, monkeypatch, kind):
    torch.manual_seed(0)
    model, x = kind().double(), torch.randn(70, 3, 2).double()
    compiled = examine(model, x)
    assert done["recorded"] == 0
    monkeypatch.setattr(compiled_loops, "MIN_STEPS", 10**6)
    for name, plain in examine(model, x).items():
        ours = compiled[name]
        close = {"rtol": 1e-9, "atol": 1e-11}
        torch.testing.assert_close(ours.curve.gain, plain.curve.gain, **close)
        torch.testing.assert_close(ours.cause.gain, plain.cause.gain, equal_nan=True, **close)
        for part in ("total", "recurrent", "share"):
            one, other = (getattr(each.measures.bypass, part) for each in (ours, plain))
            torch.testing.assert_close(one, other, equal_nan=True, **close)
        torch.testing.assert_close(ours.measures.shares.all, plain.measures.shares.all, **close)
        torch.testing.assert_close(ours.measures.sensitivity.size, plain.measures.sensitivity.size, **close)
        assert ours.measures.depth.gain == pytest.approx(plain.measures.depth.gain)


def test_a_draw_of_a_cure_runs_its_copy_once():
    """What a changed layer returns is looked at once besides, for all draws; and what the untreated model returns."""
    torch.manual_seed(0)
    model, x = Reader("GRU"), torch.randn(20, 3, 2)
    before = retention(model, x)
    RUNS.clear()
    trials = try_cures(model, x, None, before)
    tried = trials.layers["memory/layer0/forward"]
    assert [trial.draws for trial in tried].count(5) > 2
    built = [trial for trial in tried if trial.moment == "when a network is built"]
    assert RUNS[Reader] <= 1 + sum(trial.draws for trial in tried) + 2 * len(built)
    RUNS.clear()
    quick = try_cures(model, x, None, before, quick=True).layers["memory/layer0/forward"]
    assert {trial.draws for trial in quick} == {1}
    assert RUNS[Reader] <= 1 + len(tried) + 2 * len(built)
