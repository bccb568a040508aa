"""What a cure costs: steps of both networks in turns, on a clock that is known; the stored ones are of cures that there are."""

import itertools

import torch

from rnnvanish import mitigations
from rnnvanish.experiments import cure_prices
from rnnvanish.experiments.cure_prices import measure, price
from rnnvanish.mitigations import ClipValue
from rnnvanish.studies.trial import Trial


def test_a_price_is_that_of_the_fastest_step_of_each(monkeypatch):
    # Two readings a step: untreated and treated in turns.
    durations = itertools.cycle([2.0, 9.0, 3.0, 6.0])
    clock = itertools.chain.from_iterable((0.0, each) for each in durations)
    monkeypatch.setattr(cure_prices.time, "thread_time", lambda: next(clock))
    monkeypatch.setattr(cure_prices, "_step", lambda trial: (lambda: None, 3 if trial.mitigations else 2))
    assert measure("LayerNormalisation", "tanh", repeats=4) == (3.0, 1.5)


def test_a_step_trains_and_the_rule_acts_on_its_gradient(monkeypatch):
    acted = []
    monkeypatch.setattr(ClipValue, "apply", lambda rule, parameters: acted.extend(parameters))
    step, count = cure_prices._step(Trial("Elman", "recall", 2, "ClipValue", check_every=20))
    step()
    assert sum(each.numel() for each in acted) == count
    assert all(each.grad is not None and bool(torch.isfinite(each.grad).all()) for each in acted)


def test_the_stored_prices_are_of_cures_that_there_are():
    known = cure_prices.record()["prices"]
    assert set(known) <= set(mitigations.ALL)
    assert price("ClipNorm", "LSTM").parameters == 1
    assert price("Critical", "LSTM") is None
