"""Cures that act while a network trains: what a step reads, the state it begins with, how far it moves each weight."""

import math
from functools import partial

import pytest
import torch
from builds import TORCH, sequences
from torch import nn

from rnnvanish import Recurrent, cells, mitigations, tasks
from rnnvanish.layers import state_parts
from rnnvanish.mitigation import Regime, parameter_groups
from rnnvanish.mitigations.curriculum import Curriculum
from rnnvanish.mitigations.recurrent_rate import RecurrentRate
from rnnvanish.mitigations.warm_state import WarmState
from rnnvanish.task import stream

REGIMES = {name: cure for name, cure in mitigations.ALL.items() if issubclass(cure, Regime)}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", REGIMES)
def test_what_a_regime_does_not_change_stays_as_it_is(name):
    """The output of the treated model in evaluation; what it draws a batch with; the rates of all but some weights."""
    regime, layer, x = REGIMES[name](), nn.LSTM(2, 4).double().eval(), torch.randn(6, 3, 2).double()
    expected = layer(x)[0]
    treated = regime(layer)
    regime.begin(treated, 0)
    torch.testing.assert_close(treated(x)[0], expected)
    assert {id(weight) for group in regime.parameter_groups(treated, 0.1) for weight in group["params"]} == {
        id(weight) for weight in treated.parameters()
    }
    assert regime.period >= 1


# RecurrentRate: how far a step goes.


@pytest.mark.parametrize("kind", TORCH)
def test_a_step_moves_the_recurrent_weights_further_and_nothing_else(kind):
    x = sequences()
    theirs = TORCH[kind][1]()
    for layer in (theirs, Recurrent.from_torch(theirs)):
        by_rate = {}
        for factor in (1.0, 5.0):
            start = {name: weight.detach().clone() for name, weight in layer.named_parameters()}
            layer.zero_grad()
            layer(x)[0].square().sum().backward()
            torch.optim.SGD(RecurrentRate(factor).parameter_groups(layer, lr=1e-3)).step()
            by_rate[factor] = {name: weight.detach() - start[name] for name, weight in layer.named_parameters()}
            layer.load_state_dict(start)
        for name, moved in by_rate[1.0].items():
            recurrent = "weight_hh" in name or "from_h.weight" in name
            torch.testing.assert_close(by_rate[5.0][name], (5.0 if recurrent else 1.0) * moved, rtol=1e-9, atol=1e-15)
            assert moved.any()


def test_rates_of_several_multiply():
    layer = Recurrent(cells.GRU, 2, 4)
    groups = parameter_groups(layer, 0.1, [RecurrentRate(3.0), Curriculum(), RecurrentRate(2.0)])
    assert {len(group["params"]): group["lr"] for group in groups} == {3: 0.1, 1: pytest.approx(0.6)}


def test_a_model_without_recurrent_weights_is_refused():
    with pytest.raises(ValueError, match="names the layers that read its state; got no recurrent layer"):
        RecurrentRate().rates(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="got LRU"):
        RecurrentRate().rates(Recurrent(cells.LRU, 2, 4))


# Curriculum: what a step reads.


def test_the_length_grows_to_the_full_one_and_never_falls():
    grown = [Curriculum(steps=40, start=0.25).length(step, 60) for step in range(60)]
    assert grown == sorted(grown)
    assert (grown[0], grown[40], grown[-1]) == (15, 60, 60)
    assert grown[20] == math.ceil(60 * (0.25 + 0.75 / 2))
    assert Curriculum(start=0.01).length(0, 20) == 2
    assert Curriculum(start=0.01).length(0, 1) == 1
    assert {Curriculum(start=1.0).length(step, 7) for step in range(9)} == {7}


@pytest.mark.parametrize("name", tasks.ALL)
def test_a_step_reads_sequences_of_its_length_or_says_why_not(name):
    task, cure = tasks.ALL[name](), Curriculum(steps=10, start=0.5)
    draw = lambda task, step: task.sample(2, stream(step), "train")
    if not task.length_field:
        with pytest.raises(ValueError, match="as long as its data"):
            cure.batch(task, 0, draw)
        return
    full, steps = getattr(task, task.length_field), [len(cure.batch(task, step, draw).inputs) for step in (0, 5, 10)]
    around = len(draw(task, 0).inputs) - full  # what the field does not count
    assert steps == [math.ceil(full * part) + around for part in (0.5, 0.75, 1.0)]


def test_a_curriculum_learns_what_the_full_length_alone_does_not():
    """A little training: the sign of a first number 40 steps back, with and without."""
    losses = {}
    for start in (0.1, 1.0):
        torch.manual_seed(0)
        task, cure = tasks.Recall(length=40), Curriculum(steps=120, start=start)
        layer, readout = nn.GRU(1, 8), nn.Linear(8, 2)
        adam = torch.optim.Adam([*layer.parameters(), *readout.parameters()], lr=0.02)
        for step in range(150):
            batch = cure.batch(task, step, lambda task, step: task.sample(16, stream(step), "train"))
            adam.zero_grad()
            task.loss(readout(layer(batch.inputs)[0][-1]), batch).backward()
            adam.step()
        batch = task.sample(200, stream("test"), "test")
        losses[start] = task.loss(readout(layer(batch.inputs)[0][-1]), batch).item()
    assert losses[0.1] < 0.2 < task.floor - 0.05 < losses[1.0]


# WarmState: what a window begins with.


def windows_of(task, cure, step):
    return cure.batch(task, step, lambda task, step: task.sample(3, stream("warm", step), "train"))


@pytest.mark.parametrize("kind", TORCH)
def test_windows_in_a_row_give_what_the_whole_sequence_gives_and_no_gradient_crosses(kind):
    x = sequences(12)
    theirs = TORCH[kind][1](num_layers=2)
    for layer in (theirs, Recurrent.from_torch(theirs)):
        cure = WarmState(windows=3)
        whole, final = layer(x)
        warm = cure(layer).train()
        for step in range(6):  # two sequences: the second begins anew
            cure.begin(warm, step)
            window = x.tensor_split(3)[step % 3].clone().requires_grad_()
            output, last = warm(window)
            torch.testing.assert_close(output, whole.tensor_split(3)[step % 3], rtol=1e-12, atol=1e-12)
            again, _ = warm(window)  # within a step it begins again where the step began
            torch.testing.assert_close(again, output, rtol=0, atol=0)
            output.sum().backward()  # a graph that led across the cut would have been freed
        torch.testing.assert_close(state_parts(last), state_parts(final), rtol=1e-12, atol=1e-12)
        cure.begin(warm, 1)
        torch.testing.assert_close(warm.eval()(x)[0], whole, rtol=1e-12, atol=1e-12)


def test_the_windows_of_a_task_are_its_sequences():
    task, cure = tasks.Text(length=10), WarmState(windows=3)
    parts = [windows_of(task, cure, step) for step in range(6)]
    assert [len(part.inputs) for part in parts] == [4, 3, 3, 4, 3, 3]
    for number in range(2):
        whole = task.sample(3, stream("warm", number), "train")
        mine = parts[3 * number : 3 * number + 3]
        assert torch.equal(torch.cat([part.inputs for part in mine]), whole.inputs)
        assert torch.equal(torch.cat([part.targets for part in mine]), whole.targets)


def test_what_has_no_windows_is_refused():
    cure = WarmState(windows=30)
    with pytest.raises(ValueError, match="Recall is asked at the end"):
        windows_of(tasks.Recall(), cure, 0)
    with pytest.raises(ValueError, match="at least the 30 steps of its windows, got 10 steps"):
        windows_of(tasks.Text(length=10), cure, 0)
    with pytest.raises(ValueError, match="no past of the next window"):
        cure(nn.GRU(2, 3, bidirectional=True))


@pytest.mark.parametrize(
    ("build", "needed"),
    [
        (partial(RecurrentRate, 0.0), "factor > 0"),
        (partial(Curriculum, 0), "steps >= 1"),
        (partial(Curriculum, start=0.0), r"start in \(0, 1\]"),
        (partial(WarmState, 0), "windows >= 1"),
    ],
)
def test_numbers_are_checked(build, needed):
    with pytest.raises(ValueError, match=needed):
        build()
