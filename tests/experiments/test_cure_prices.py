"""What a cure costs: steps of both networks in turns, on a clock that is known; what autograd keeps of known graphs; what is stored."""

import itertools

import torch

from rnnvanish import mitigations
from rnnvanish.experiments import cure_prices
from rnnvanish.experiments.cure_prices import kept_bytes, measure, price
from rnnvanish.mitigations import ClipValue
from rnnvanish.studies.trial import Trial


def test_a_price_is_that_of_the_fastest_step_of_each(monkeypatch):
    # Two readings a step: untreated and treated in turns.
    durations = itertools.cycle([2.0, 9.0, 3.0, 6.0])
    clock = itertools.chain.from_iterable((0.0, each) for each in durations)
    monkeypatch.setattr(cure_prices.time, "thread_time", lambda: next(clock))
    x = torch.ones(5, requires_grad=True)

    def training(trial):
        count = 3 if trial.mitigations else 2
        return cure_prices.Training(lambda: [x.exp() for _ in range(count)], [x], count)

    monkeypatch.setattr(cure_prices, "_training", training)
    assert measure("LayerNormalisation", "tanh", repeats=4) == (3.0, 1.5, 1.5)


def test_what_is_kept_counts_each_storage_once_and_while_it_is_kept():
    """Of exp its output; x is given. A product keeps both sides, views of one storage; what went backward is kept no more."""
    x = torch.ones(100, requires_grad=True)

    def step():
        for _ in range(3):  # one after the other
            y = x.exp()
            (y[:50] * y[50:]).sum().backward()
        torch.autograd.grad(x.sin().exp().sum(), x)  # sin keeps x

    assert kept_bytes(step, [x]) == 400
    assert kept_bytes(step, []) == 800
    assert kept_bytes(lambda: [x.exp(), x.exp()], [x]) == 800


def test_where_torch_shows_nobody_what_is_kept_there_is_no_number():
    x = torch.ones(3, requires_grad=True)
    shown, hidden = (
        cure_prices.Training(step, [x], 3)
        for step in (x.exp, lambda: torch.func.grad(lambda x: x.exp().sum())(x.detach()))
    )
    assert cure_prices._memory(shown, shown) == 1
    assert cure_prices._memory(shown, hidden) is None


def test_a_step_trains_and_the_rule_acts_on_its_gradient(monkeypatch):
    acted = []
    monkeypatch.setattr(ClipValue, "apply", lambda rule, parameters: acted.extend(parameters))
    training = cure_prices._training(Trial("Elman", "recall", 2, "ClipValue", check_every=20))
    training.step()
    assert sum(each.numel() for each in acted) == training.parameters
    assert all(each.grad is not None and bool(torch.isfinite(each.grad).all()) for each in acted)


def test_the_stored_prices_are_of_cures_that_there_are():
    known = cure_prices.record()["prices"]
    assert set(known) <= set(mitigations.ALL)
    assert price("ClipNorm", "LSTM").parameters == 1
    assert price("Critical", "LSTM") is None
