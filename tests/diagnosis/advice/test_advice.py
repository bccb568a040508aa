"""Advice: what is promised is what the user gets, training is plain Adam, and "nothing helps" is an answer."""

import copy
import math

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.cell import Cell, Paper
from rnnvanish.diagnosis.advice import trial_runner
from rnnvanish.diagnosis.advice.replace_cell import Swap
from rnnvanish.diagnosis.advice.trials import try_cures
from rnnvanish.probes import retention


class Reader(nn.Module):
    """Says of each sequence one of two classes; by its last output, or by the state that its layer hands over."""

    def __init__(self, kind="RNN", by_state=False):
        super().__init__()
        self.rnn, self.by_state = getattr(nn, kind)(2, 16), by_state
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        output, state = self.rnn(x)
        return self.head(state[-1] if self.by_state else output[-1])


def task(steps=20, count=4):
    x = torch.randn(steps, count, 2)
    y = (x[0].sum(-1) > 0).long()
    return x, lambda answer: nn.functional.cross_entropy(answer, y)


def tried(model, x, loss=None, **options):
    return try_cures(model, x, loss, retention(model, x, loss), **options)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_who_types_what_was_tried_gets_what_was_measured(kind):
    torch.manual_seed(1)
    model, (x, loss) = Reader(kind), task()
    state = torch.get_rng_state()
    trials = tried(model, x, loss).layers["rnn/layer0/forward"]
    assert torch.equal(torch.get_rng_state(), state)
    assert len(trials) > 4
    for trial in trials:
        found = {"model": copy.deepcopy(model)}
        torch.manual_seed(torch.seed() % 1000)
        exec(trial.apply, found)  # noqa: S102
        (treated,) = retention(found["model"], x, loss).values()
        assert treated.half_life == trial.after
        assert float(treated.gain[-1]) == trial.gain
        before, after = (abs(math.log(gain)) for gain in (trial.gain_before, trial.gain))
        assert trial.helps == (after < before - math.log(2) and treated.verdict != "exploding")
        assert trial.cure in trial.apply
        assert str(trial).startswith(f"{trial.cure}: half-life {trial.before:.3g} → ")
    assert [trial.helps for trial in trials] == sorted((trial.helps for trial in trials), reverse=True)


def test_chrono_is_drawn_for_the_lag_of_the_task():
    torch.manual_seed(0)
    model, (x, loss) = Reader("GRU"), task()
    names = [trial.cure for trial in tried(model, x, loss, lag=70).layers["rnn/layer0/forward"]]
    assert "mitigations.Chrono(span=70)" in names


def test_an_exploding_gradient_is_clipped_and_mended():
    torch.manual_seed(0)
    model = Reader()
    with torch.no_grad():
        model.rnn.weight_hh_l0.mul_(8)
    torch.manual_seed(0)
    x, loss = task(60)
    x = 0.3 * x
    trials = {trial.cure: trial for trial in tried(model, x, loss).layers["rnn/layer0/forward"]}
    clip = trials["mitigations.ClipNorm(threshold=1.0)"]
    loss(model(x)).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
    assert norm > 10
    assert clip.helps
    assert clip.note == f"norm of the whole gradient {norm:.3g} → 1"
    model.zero_grad()
    start = trials["mitigations.OrthogonalStart(gain=1.0)"]
    torch.manual_seed(start.seed)
    (mended,) = retention(mitigations.OrthogonalStart()(model), x, loss).values()
    assert start.helps == (mended.verdict == "healthy")
    assert start.gain == float(mended.gain[-1])
    assert "gradient at lag 59" in str(start)


def test_training_is_plain_adam_with_the_users_loss():
    torch.manual_seed(0)
    model, (x, loss) = Reader("LSTM"), task(15)
    found = tried(model, x, loss, train=3, rate=0.01)

    def by_hand(candidate):
        before = loss(candidate(x)).item()
        adam = torch.optim.Adam(candidate.parameters(), lr=0.01)
        for _ in range(3):
            adam.zero_grad()
            loss(candidate(x)).backward()
            adam.step()
        return before, loss(candidate(x)).item(), next(iter(retention(candidate, x, loss).values())).half_life

    untreated = by_hand(copy.deepcopy(model))
    plain = found.untreated
    assert (plain.steps, plain.before, plain.after) == (3, *untreated[:2])
    assert plain.half_lives == {"rnn/layer0/forward": untreated[2]}
    for trial in found.layers["rnn/layer0/forward"]:
        assert trial.training.steps == 3
        assert trial.training.untreated == plain.after
        assert trial.helps == (trial.gain_before * 2 < trial.gain < 1e3)  # as it does without training
    losses = [trial.training.after for trial in found.layers["rnn/layer0/forward"] if trial.helps]
    assert losses == sorted(losses)
    assert f"({plain.after:.3g} without it)" in str(found.layers["rnn/layer0/forward"][0])
    by_cure = {trial.cure: trial.training for trial in found.layers["rnn/layer0/forward"]}
    opened = by_cure["mitigations.OpenGate(bias=3.0)"]
    expected = by_hand(mitigations.OpenGate(3.0)(copy.deepcopy(model)))
    assert (opened.before, opened.after, opened.half_lives["rnn/layer0/forward"]) == expected


def test_training_needs_the_loss():
    with pytest.raises(ValueError, match="To try 5 steps of training, the loss is needed"):
        tried(nn.LSTM(1, 4), torch.randn(20, 2, 1), train=5)


def test_a_closed_gate_is_found_and_training_is_repaired():
    """The fault is planted; what is advised first learns what the untreated model does not."""
    torch.manual_seed(0)
    model, (x, loss) = Reader("LSTM"), task(20)
    with torch.no_grad():
        model.rnn.bias_ih_l0[16:32] = -4.0
    found = tried(model, x, loss, train=20, rate=0.03)
    best = found.advice("rnn/layer0/forward")[0]
    assert best.training.after < 0.5 * found.untreated.after
    assert best.after > 10 * best.before


class TakesApart(Reader):
    """Reads the state of an LSTM, by its two parts."""

    def forward(self, x):
        _, (h, _) = self.rnn(x)
        return self.head(h[-1])


def test_a_cure_that_does_not_fit_the_model_says_why():
    torch.manual_seed(0)
    x, loss = task()
    found = tried(TakesApart("LSTM"), x, loss)
    assert "not enough values to unpack (expected 2, got 1)" in found.unfit["Swap(cell='GRU', bias=3.0)"]
    found = tried(Reader(by_state=True), x, loss)
    assert "OpenGate suits no layer" in found.unfit["mitigations.OpenGate(bias=1.0)"]
    assert not found.unfit.keys() & {trial.cure for trial in found.layers["rnn/layer0/forward"]}
    fit = {trial.cure for trial in found.advice("rnn/layer0/forward")}
    assert {
        "Swap(cell='GRU', bias=3.0)",
        "Swap(cell='LSTM', bias=3.0)",
    } <= fit  # which hands back h alone, as the RNN did


class Carried(nn.Module):
    """Starts from a state that it is given."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(2, 8)

    def forward(self, x, state):
        return self.rnn(x, state)[0][-1]


@pytest.mark.filterwarnings("error")
def test_what_a_treated_copy_warns_of_is_not_said():
    """A skip through time has a state of more parts than an LSTM is given: that is the copy's, not the model's."""
    batch = torch.randn(20, 2, 2), (torch.zeros(1, 2, 8),) * 2
    found = tried(Carried(), batch, quick=True)
    assert "SkipThroughTime" in " ".join(trial.cure for trial in found.layers["rnn/layer0/forward"])
    assert "needs a state of 1 parts (h), got 2" in found.unfit["Swap(cell='GRU', bias=3.0)"]


class Leak(Cell):
    paper = Paper("nobody", 2000, "Leak", "https://example.org")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.rate = nn.Parameter(torch.tensor(0.1))

    def forward(self, x, state):
        return (self.rate * state[0] + x.sum(-1, keepdim=True),)


class Bound(nn.Module):
    """Looks into its own cell: nothing else can take its place."""

    calls = 0

    def __init__(self):
        super().__init__()
        self.rnn = Recurrent(Leak, 2, 4)

    def forward(self, x):
        Bound.calls += 1
        return self.rnn(x)[0][-1] * self.rnn.cells[0].rate


def test_nothing_helps_is_an_answer():
    found = tried(Bound(), torch.randn(20, 2, 2))
    assert found.layers == {"rnn/layer0/forward": ()}
    assert found.advice("rnn/layer0/forward") == ()
    assert len(found.unfit) == 11
    assert (
        "'_Skipping' object has no attribute 'rate'" in found.unfit["mitigations.SkipThroughTime(lag=10, weight=0.9)"]
    )


def test_all_of_the_advice_costs_less_than_twenty_measurements():
    class Counting(Reader):
        calls = 0

        def forward(self, x):
            Counting.calls += 1
            return super().forward(x)

    torch.manual_seed(0)
    model, (x, loss) = Counting("LSTM"), task()
    before = retention(model, x, loss)
    once = Counting.calls
    try_cures(model, x, loss, before)
    assert Counting.calls - once <= 20 * once


def test_a_healthy_model_is_left_alone():
    model = nn.GRU(2, 8)
    with torch.no_grad():
        model.bias_hh_l0[8:16] = 9.0
    found = tried(model, torch.randn(20, 2, 2))
    assert (found.layers, found.unfit, found.untreated) == ({}, {}, None)


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_swap_keeps_the_shape_and_opens_the_gate(name):
    layer = nn.RNN(3, 8, num_layers=2, bidirectional=True, batch_first=True, dropout=0.2).double().eval()
    swapped = Swap(name, bias=1.5)(layer)
    assert swapped(torch.randn(4, 7, 3).double())[0].shape == layer(torch.randn(4, 7, 3).double())[0].shape
    assert not swapped.training
    assert all(isinstance(cell, getattr(cells, name)) for cell in swapped.cells)
    for cell in swapped.cells:
        kept = (cell.from_x.bias + cell.from_h.bias)[8:16]
        torch.testing.assert_close(kept, torch.full((8,), 1.5).double())
    with pytest.raises(ValueError, match="There is no cell 'Elman'"):
        Swap("Elman")


def test_infinite_half_lives_are_infinite():
    torch.manual_seed(0)
    layer = mitigations.OrthogonalStart(0.3)(nn.RNN(2, 8))
    found = tried(layer, torch.randn(30, 2, 2)).advice("RNN/layer0/forward")
    assert any(math.isinf(trial.after) or trial.after > 5 for trial in found)


@pytest.mark.parametrize(("long", "engine"), [(20, "auto"), (21, "reference")])
def test_a_changed_layer_runs_compiled_where_sequences_are_long(long, engine, monkeypatch):
    """To compile a loop takes seconds, once on a machine: as long as a few thousand of its steps."""
    torch.manual_seed(0)
    seen = set()
    measured = trial_runner.TrialRunner._measured

    def noting(runner, candidate):
        seen.update(each.engine for each in candidate.modules() if isinstance(each, Recurrent))
        return measured(runner, candidate)

    monkeypatch.setattr(trial_runner, "LONG_SEQUENCE", long)
    monkeypatch.setattr(trial_runner.TrialRunner, "_measured", noting)
    tried(nn.RNN(2, 4), torch.randn(20, 2, 2))
    assert seen == {engine}
