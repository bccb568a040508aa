"""What the table of cures measures: against the curve of each draw, and cures whose effect is known."""

import pytest
import torch
from torch import nn

from rnnvanish import mitigations
from rnnvanish.experiments import cures
from rnnvanish.experiments.cures import LAG, SEEDS, STEPS, example, kept, measured, suited, told, written
from rnnvanish.experiments.workbench import HIDDEN, curve
from rnnvanish.mitigations import ClipNorm, Identity, OpenGate, TruncatedBackpropagation, UniformGate


def test_the_middle_draw_is_told():
    curves = [curve(lambda: UniformGate()(nn.GRU(1, HIDDEN)), seed, STEPS) for seed in SEEDS]
    half_lives = [each.half_life for each in curves]
    (middle,) = [each for each in curves if min(half_lives) < each.half_life < max(half_lives)]
    found = kept("GRU", UniformGate())
    assert found.half_life == middle.half_life
    assert found.gain == tuple(middle.gain[: LAG + 1].tolist())
    assert found.arrives == float(middle.gain[LAG])


def test_what_is_measured_is_the_treated_network():
    untreated, open_gate, cut = kept("LSTM"), kept("LSTM", OpenGate(8.0)), kept("LSTM", TruncatedBackpropagation(20))
    assert untreated.half_life < 3
    assert open_gate.half_life > 100  # σ(8) of the cell is kept at each step
    assert open_gate.arrives > 0.5
    assert cut.arrives == 0


@pytest.mark.parametrize("name", ["RandomTruncation", "HDetach", "WeightDrop"])
def test_what_a_cure_draws_while_it_is_measured_comes_from_the_seed(name):
    network = suited(example(name))[-1]
    torch.manual_seed(1)
    once = kept.__wrapped__(network, example(name))
    torch.manual_seed(2)
    assert kept.__wrapped__(network, example(name)) == once


def test_networks_that_a_cure_takes(monkeypatch):
    assert suited(OpenGate()) == ("LSTM", "GRU")
    assert suited(Identity()) == ("ReLU",)
    assert suited(ClipNorm()) == tuple(cures.NETWORKS)
    monkeypatch.setattr(cures, "kept", lambda network, cure: cures.Kept(1.0, (1.0,)))
    assert list(measured(Identity())) == ["ReLU"]
    assert list(measured(TruncatedBackpropagation())) == ["tanh", "LSTM", "GRU"]
    assert measured(ClipNorm()) == {}


@pytest.mark.parametrize("name", mitigations.ALL)
def test_every_cure_can_be_written_and_told(name):
    assert type(example(name)) is mitigations.ALL[name]
    assert told(name).endswith(".")


def test_an_option_without_a_default_is_shown_by_the_docstring(monkeypatch):
    assert written("Chrono") == "Chrono(span=100)"
    monkeypatch.setattr(mitigations.Chrono, "__doc__", "Draw.")
    with pytest.raises(ValueError, match="Chrono needs options: show in an example"):
        written("Chrono")
