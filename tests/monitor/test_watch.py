"""watch measures what `probes.retention` measures, of the training's own loss, and leaves the training as it is."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import Recurrent, cells, watch
from rnnvanish.probes import retention

WIDTH = 5


class Tagger(nn.Module):
    """A tag for each step, with dropout between two layers."""

    def __init__(self, layer=None):
        super().__init__()
        self.read = nn.Linear(3, 4)
        self.layer = nn.LSTM(4, WIDTH, 2, dropout=0.4) if layer is None else layer
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(WIDTH, 3)

    def forward(self, x):
        return self.head(self.drop(self.layer(self.read(x))[0]))


class Reader(nn.Module):
    """Sequences of several lengths, both directions, attention over the outputs."""

    def __init__(self):
        super().__init__()
        self.layer, self.ask, self.head = nn.GRU(3, WIDTH, bidirectional=True), nn.Linear(10, 1), nn.Linear(10, 3)

    def forward(self, x):
        output, _ = self.layer(pack_padded_sequence(x, torch.tensor([8, 6, 5, 8]), enforce_sorted=False))
        output, _ = pad_packed_sequence(output)
        return self.head((torch.softmax(self.ask(output), 0) * output).sum(0))


class LoopOfCells(nn.Module):
    """A loop of its own, with a norm between two steps."""

    def __init__(self):
        super().__init__()
        self.cell, self.norm, self.head = nn.GRUCell(3, WIDTH), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x):
        h, found = x.new_zeros(x.shape[1], WIDTH), []
        for now in x:
            h = self.cell(now, h)
            found.append(self.head(self.norm(h)))
        return torch.stack(found)


class LossInside(Tagger):
    """Returns its loss beside what it is made of, by names."""

    def forward(self, x):
        tags = super().forward(x)
        return {"loss": loss_of(tags), "tags": tags}


def loss_of(output):
    if isinstance(output, dict):
        return output["loss"]
    rows = output.reshape(-1, 3)
    return cross_entropy(rows, torch.arange(len(rows)) % 3)


BUILDS = {
    "dropout": Tagger,
    "packed": Reader,
    "cells": LoopOfCells,
    "ours": lambda: Tagger(Recurrent(cells.LSTM, 4, WIDTH)),
    "loss inside": LossInside,
    "on one device": lambda: nn.DataParallel(Tagger(nn.GRU(4, WIDTH))),
}


def assert_same_curves(history, curves):
    assert set(history.layers) == {name for name, curve in curves.items() if curve.is_measured}
    for layer in history.layers:
        torch.testing.assert_close(history.of(layer)[0].gain, curves[layer].gain.double(), rtol=1e-4, atol=1e-12)
        assert history.of(layer)[0].verdict == curves[layer].verdict


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_it_measures_what_the_probe_measures(build):
    torch.manual_seed(0)
    model, x = build(), torch.randn(8, 4, 3)
    torch.manual_seed(1)
    expected = retention(model, x, loss_of)
    with watch(model, every=1, on_alert=str) as watching:
        torch.manual_seed(1)
        loss_of(model(x)).backward()
    assert not watching.problems
    assert_same_curves(watching.history, expected)


class Pair(nn.Module):
    """What reads, and what writes word by word with a look back and a fading state: called from outside, or by itself."""

    def __init__(self):
        super().__init__()
        self.reader, self.writer = nn.GRU(3, WIDTH), Writer()

    def forward(self, x, keep):
        output, h = self.reader(x)
        seen, h, y, found = torch.stack(list(output)), h[0] * 0.9, x.new_zeros(x.shape[1], 3), []
        for part in keep:
            y, h = self.writer(y.detach(), h, seen)
            found.append(y)
            h = h * part
        return torch.stack(found)


class Writer(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRUCell(3, WIDTH), nn.Linear(2 * WIDTH, 3)

    def forward(self, y, h, seen):
        h = self.cell(y, h)
        weights = torch.softmax(torch.einsum("bh,tbh->tb", h, seen), 0)
        return self.head(torch.cat([h, torch.einsum("tb,tbh->bh", weights, seen)], 1)), h


@pytest.mark.parametrize("fading", [1.0, 0.8], ids=["passed on", "changed on the way"])
def test_many_calls_of_parts_are_one_run(fading):
    """The oracle makes the same calls inside of one module."""
    torch.manual_seed(0)
    model, x, keep = Pair(), torch.randn(6, 4, 3), [fading] * 5
    expected = retention(model, (x, keep), loss_of)
    called = nn.ModuleDict({"reader": model.reader, "writer": model.writer})
    with watch(called, every=1, on_alert=str) as watching:
        loss_of(Pair.forward(model, x, keep)).backward()
    assert not watching.problems
    assert_same_curves(watching.history, expected)


def test_branches_that_the_last_call_does_not_read_are_measured_too():
    torch.manual_seed(0)
    parts, x = nn.ModuleList([nn.GRU(3, WIDTH), nn.GRU(3, WIDTH)]), torch.randn(6, 4, 3)
    with watch(parts, every=1, on_alert=str) as watching:
        torch.cat([part(x)[0][-1] for part in parts]).square().sum().backward()
    assert set(watching.history.layers) == {"0/layer0/forward", "1/layer0/forward"}
    torch.testing.assert_close(
        watching.history.of("0/layer0/forward")[0].gain,
        retention(parts[0], x, lambda output: output[0][-1].square().sum())["GRU/layer0/forward"].gain,
        rtol=1e-4,
        atol=0,
    )


class Remembers(nn.Module):
    """One step a call; what it carries is its own affair."""

    def __init__(self):
        super().__init__()
        self.cell, self.h = nn.GRUCell(3, WIDTH), None

    def forward(self, now):
        self.h = self.cell(now, self.h)
        return self.h[:, :3]


def test_a_state_that_the_model_keeps_between_calls_is_followed():
    torch.manual_seed(0)
    model, x = Remembers(), torch.randn(6, 4, 3)
    with watch(model, every=1, on_alert=str) as watching:
        for _ in range(2):
            model.h = None
            for now in x:
                output = model(now)
            loss_of(output).backward()
    assert not watching.problems
    assert [len(each.gain) for each in watching.history.of("cell")] == [6, 6]


def train(model, watching=None, steps=5, autocast=None, scaler=None):
    """Losses, gradients, weights and generators: whatever must not depend on being watched, bit for bit."""
    torch.manual_seed(0)
    rule, losses = torch.optim.SGD(model.parameters(), lr=0.1), []
    for _ in range(steps):
        x = torch.randn(8, 4, 3)
        rule.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast is not None):
            loss = loss_of(model(x))
        (loss if scaler is None else scaler.scale(loss)).backward()
        losses.append(loss.item())
        if scaler is None:
            rule.step()
        else:
            scaler.step(rule)
            scaler.update()
    return losses, [weight.grad.tolist() for weight in model.parameters()], torch.get_rng_state().tolist()


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
@pytest.mark.parametrize("mixed", [False, True], ids=["single", "mixed"])
def test_the_training_is_the_same_bit_for_bit(build, mixed):
    torch.manual_seed(0)
    model = build()
    options = {"autocast": True, "scaler": torch.amp.GradScaler("cpu")} if mixed else {}
    alone = train(copy.deepcopy(model), **options)
    if mixed:
        options["scaler"] = torch.amp.GradScaler("cpu")
    with watch(model, every=2, on_alert=str) as watching:
        beside = train(model, watching, **options)
    assert beside == alone
    assert not watching.problems
    assert watching.history.steps == (0, 2, 4)


def hooks_of(model):
    modules = [module for module in model.modules() if module._forward_hooks or module._forward_pre_hooks]
    return modules, [weight for weight in model.parameters() if weight._backward_hooks]


def test_it_leaves_no_trace():
    model, x, outputs = Tagger(), torch.randn(8, 4, 3), []

    def stop(output):
        outputs.append(output)
        raise KeyError

    before = dict(vars(model))
    watching = watch(model, on_alert=str)
    with pytest.raises(KeyError), watching:
        stop(model(x))
    assert hooks_of(model) == ([], [])
    assert vars(model).keys() == before.keys()
    loss_of(outputs[0]).backward()  # what was recorded is not measured any more
    assert not watching.history
    assert not watching.problems
    watching.close()  # once more


def test_a_forward_that_fails_is_none_of_its_affair():
    model, x = Tagger(), torch.randn(8, 4, 3)
    with watch(model, every=1, on_alert=str) as watching:
        with pytest.raises(RuntimeError, match="shape"):
            model(x[..., :2])
        loss_of(model(x)).backward()
    assert watching.history.steps == (0,)
    assert not watching.problems


def test_nothing_is_kept_of_passes_that_never_come():
    model, x = Tagger(), torch.randn(8, 4, 3)
    watching = watch(model, every=1, on_alert=str)
    for _ in range(3):
        model(x)  # somebody forgot no_grad
    assert not watching._measurement._calls.records
    loss_of(model(x)).backward()
    assert watching.history.steps == (0,)
    assert watching._measurement._calls.copy is None
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert len(watching.history) == 2
    watching.close()


def test_copies_and_pickles_of_a_watched_model_are_not_watched():
    model, x = Tagger(), torch.randn(8, 4, 3)
    with watch(model, every=1, on_alert=str) as watching:
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            loss_of(other(x)).backward()
    assert not watching.history


def test_every_counts_backward_passes():
    """Two that add up, evaluations with and without a graph, two losses of one run."""
    torch.manual_seed(0)
    model, x = Tagger(nn.GRU(4, WIDTH)), torch.randn(8, 4, 3)
    with watch(model, every=3, on_alert=str) as watching:
        for _ in range(3):
            for part in (x[:, :2], x[:, 2:]):
                loss_of(model(part)).backward()
            with torch.no_grad():
                model(x)
            model(x)
            output = model(x)
            output.square().sum().backward(retain_graph=True)
            loss_of(output).backward()
    assert repr(watching) == "<Watch of Tagger: 12 backward passes, 3 measured>"
    assert watching.history.steps == (0, 4, 8)  # passes 3 and 7 are second ones of a run that was begun before


def test_hooks_and_gradients_of_the_training_are_left_alone():
    """Those between two calls, too, through which the measurement leads."""
    torch.manual_seed(0)
    step, x = nn.GRUCell(3, WIDTH), torch.randn(6, 4, 3)
    heard, kept = [], []
    with watch(step, every=1, on_alert=str) as watching:
        h = torch.zeros(4, WIDTH)
        for now in x:
            h = step(now, h) * 0.9
            h.retain_grad()
            h.register_hook(lambda gradient: heard.append(gradient.norm().item()))
            kept.append(h)
        h.sum().backward()
    assert len(watching.history) == 1
    assert heard == [each.grad.norm().item() for each in reversed(kept)]


def test_alerts_say_when_gradients_vanish_and_come_back():
    torch.manual_seed(0)
    model, x, told = nn.GRU(2, 8), torch.randn(30, 4, 2), []
    with watch(model, every=1, on_alert=told.append) as watching:
        for bias in (9, -2, -2, 9):
            with torch.no_grad():
                model.bias_hh_l0[8:16] = bias
            model(x)[0][-1].square().sum().backward()
    assert watching.alerts == told
    assert [(alert.step, alert.before, alert.verdict) for alert in told] == [
        (1, "healthy", "vanishing"),
        (3, "vanishing", "healthy"),
    ]
    reach = watching.history.of("GRU/layer0/forward")[1].reach
    assert str(told[0]) == f"GRU/layer0/forward: gradients from beyond {reach} steps vanished at step 1."
    assert str(told[1]) == "GRU/layer0/forward: gradients reach back all 29 steps again at step 3."


def test_what_an_alert_raises_ends_the_training():
    class Stop(Exception):
        pass

    def stop(alert):
        raise Stop

    model = nn.RNN(2, 8)
    with watch(model, on_alert=stop), pytest.raises(Stop):
        model(torch.zeros(40, 2, 2))[0][-1].sum().backward()
    assert hooks_of(model) == ([], [])


COUNT = iter(range(1, 1000))


class Tired(nn.Module):
    """Another number each time, from a place that is not its own."""

    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(3, WIDTH)

    def forward(self, x):
        return self.layer(x)[0][..., :3] * next(COUNT)


def pass_three_times(call):
    for _ in range(3):
        loss_of(call(torch.randn(8, 4, 3))).backward()


def test_what_cannot_be_had_again_is_said_once_and_the_training_goes_on():
    model = Tired()
    with (
        watch(model, every=1) as watching,
        pytest.warns(UserWarning, match="Tired returns other numbers when it runs a sec"),
    ):
        pass_three_times(model)
    assert len(watching.problems) == 1
    assert not watching.history


def test_a_model_that_is_not_seen_is_said():
    model = nn.GRU(3, 3)
    with watch(model, every=1) as watching, pytest.warns(UserWarning, match="no call was seen"):
        pass_three_times(lambda x: model.forward(x)[0])
    assert len(watching.problems) == 1


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="every >= 1, got 0"):
        watch(nn.GRU(1, 1), every=0)
    with pytest.raises(ValueError, match=r"needs a recurrent layer .* got a Linear"):
        watch(nn.Linear(1, 1))
    with pytest.raises(ValueError, match=r"torch.compile has compiled GRU: .* Watch a training without torch.compile"):
        watch(torch.compile(nn.GRU(1, 1)))
    model = nn.Sequential(nn.GRU(1, 1))
    model[0].compile()
    with pytest.raises(ValueError, match=r"torch.compile has compiled 0"):
        watch(model)


def test_a_state_that_is_reset_on_the_way_begins_a_sequence():
    """As in a rollout: the oracle is the same step called from there on."""
    torch.manual_seed(0)
    step, x, keep = nn.GRUCell(3, WIDTH), torch.randn(7, 4, 3), torch.ones(7, 4, 1)
    keep[3] = 0

    def rolled(start):
        h = torch.randn(4, WIDTH)
        for now in range(start, 7):
            h = step(x[now], h * keep[now])
        return h

    with watch(step, every=1, on_alert=str) as watching:
        rolled(0).square().sum().backward()
        rolled(3).square().sum().backward()
    whole, part = watching.history
    assert len(whole.gain) == 4
    torch.testing.assert_close(whole.gain, part.gain)
