"""Cures by cause: what suits is tried first, starts before what is to be trained anew, and the rest is named."""

import pytest
import torch
from torch import nn

from rnnvanish import diagnose, mitigations
from rnnvanish.diagnosis.advice import by_cause, trials
from rnnvanish.diagnosis.advice.by_cause import BUDGET, IN_TRAINING, MORE, SUITED, ordered
from rnnvanish.diagnosis.advice.trials import VANISHING
from rnnvanish.mitigation import Draw
from rnnvanish.mitigations import TruncatedBackpropagation


def tried_in(monkeypatch, model, x, **options):
    """The classes of the cures in the order in which they are tried, and the diagnosis."""
    seen = []
    draw = trials.TrialRunner.trials
    monkeypatch.setattr(
        trials.TrialRunner,
        "trials",
        lambda runner, cure, *rest: seen.append(type(cure)) or draw(runner, cure, *rest),
    )
    diagnosis = diagnose(model, x, quick=True, **options)
    return list(dict.fromkeys(seen)), diagnosis


def closed_gates():
    layer = nn.LSTM(2, 8)
    with torch.no_grad():
        layer.bias_ih_l0[8:16] = -3.0
    return layer


def small_weights():
    layer = nn.RNN(2, 8)
    with torch.no_grad():
        layer.weight_hh_l0.mul_(0.3)
    return layer


def saturated():
    layer = nn.RNN(2, 8)
    with torch.no_grad():
        layer.weight_ih_l0.mul_(12)
        nn.init.orthogonal_(layer.weight_hh_l0)
    return layer


@pytest.mark.parametrize(
    ("kind", "model"), [("gates", closed_gates), ("weights", small_weights), ("slopes", saturated)]
)
def test_what_suits_is_tried_first_and_of_it_the_starts(kind, model, monkeypatch):
    torch.manual_seed(0)
    tried, diagnosis = tried_in(monkeypatch, model(), torch.randn(30, 4, 2))
    suits = [cure in SUITED[kind] for cure in tried]
    assert suits == sorted(suits, reverse=True)
    of_those = [issubclass(cure, Draw) for cure in tried if cure in SUITED[kind]]
    assert of_those == sorted(of_those, reverse=True)
    assert type(MORE[kind]) in tried
    ((name, untried),) = diagnosis.untried.items()
    assert set(IN_TRAINING[kind]) <= set(untried)
    (layer,) = diagnosis.contents(full=True).layers
    assert any(label == "not tried" and IN_TRAINING[kind][0] in said for label, said in layer.more)
    assert diagnosis.to_dict()["untried"] == {name: list(untried)}
    assert len(str(diagnosis).splitlines()) <= 30


def test_where_a_gradient_is_cut_the_cures_for_that_are_named(monkeypatch):
    torch.manual_seed(0)
    model = TruncatedBackpropagation(10)(nn.GRU(2, 8))
    _, diagnosis = tried_in(monkeypatch, model, torch.randn(35, 4, 2))
    (untried,) = diagnosis.untried.values()
    assert {"SyntheticGradients", "UORO", "WarmState"} <= set(untried)


def test_an_exploding_gradient_has_its_own(monkeypatch):
    torch.manual_seed(0)
    model = nn.RNN(2, 8, nonlinearity="relu")
    with torch.no_grad():
        model.weight_hh_l0.copy_(1.4 * torch.eye(8))
    _, diagnosis = tried_in(monkeypatch, model, torch.rand(40, 4, 2))
    assert {curve.verdict for curve in diagnosis.curves.values()} == {"exploding"}
    assert [set(IN_TRAINING["exploding"]) <= set(untried) for untried in diagnosis.untried.values()] == [True]


def test_no_more_are_tried_than_the_budget_allows_and_what_suits_is_named(monkeypatch):
    monkeypatch.setattr(by_cause, "BUDGET", 3)
    tried, left_out = ordered(VANISHING, ["gates"])
    assert len(tried) == 3
    assert [type(cure) for cure in tried] == [mitigations.OpenGate, mitigations.OpenGate, mitigations.UniformGate]
    assert {type(cure) for cure in left_out} == {mitigations.SkipThroughTime, trials.Swap}


def test_without_a_known_cause_all_are_tried_as_they_are():
    assert ordered(VANISHING, []) == (list(VANISHING), [])
    assert ordered(VANISHING, ["constants"]) == (list(VANISHING), [])
    assert len(VANISHING) <= BUDGET


def test_what_is_named_is_there():
    assert {name for names in IN_TRAINING.values() for name in names} <= set(mitigations.ALL)
