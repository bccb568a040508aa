"""Rules that keep something of the steps so far: each against torch's or numpy's own, and a checkpoint goes on with it."""

import copy
import json

import numpy as np
import pytest
import torch
from builds import HIDDEN, INPUT, train_a_little
from torch import nn

from rnnvanish.__main__ import main
from rnnvanish.mitigation import Rule
from rnnvanish.mitigations import ALL, AutoClip, ClipNorm, GradientNoise, LossScaling
from rnnvanish.training.learner import Learner

RULES = (AutoClip(30.0), GradientNoise(), LossScaling(interval=3))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def weight_of(*gradient, dtype=torch.float32):
    weight = nn.Parameter(torch.ones(len(gradient), dtype=dtype))
    weight.grad = torch.tensor(gradient, dtype=dtype)
    return weight


def losses(rule, steps, layer, seed=0):
    """Trains, and returns the loss of each step."""
    torch.manual_seed(seed)
    x, adam, found = torch.randn(12, 4, INPUT), torch.optim.Adam(layer.parameters(), lr=0.05), []
    for _ in range(steps):
        adam.zero_grad()
        loss = (layer(x)[0][-1] - 1).square().mean()
        rule.scale(loss).backward()
        rule.apply(layer.parameters())
        adam.step()
        found.append(loss.item())
    return found


# Every rule that keeps something.


def test_those_that_keep_something_are_tested_here():
    def keeps(name):
        rule, weight = ALL[name](), weight_of(1.0, 2.0)
        rule.apply(weight)
        return bool(rule.seen)

    assert {name for name, rule in ALL.items() if issubclass(rule, Rule) and keeps(name)} == {
        type(rule).__name__ for rule in RULES
    }


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_what_it_has_seen_goes_on_with_a_copy_and_is_no_part_of_what_it_is(rule):
    """Each step of a rule that is given what another has seen is that of the other."""
    rule, other, weight, gradients = copy.deepcopy(rule), copy.deepcopy(rule), nn.Parameter(torch.zeros(6)), []
    for _ in range(7):
        weight.grad = torch.randn(6)
        rule.apply(weight)
    other.seen.update(json.loads(json.dumps(rule.seen)))
    drawn = torch.randn(4, 6)
    for each in (rule, other):
        for gradient in drawn:
            weight.grad = gradient.clone()
            each.apply(weight)
            gradients.append(weight.grad)
    assert all(map(torch.equal, gradients[:4], gradients[4:]))
    assert rule == other
    assert hash(rule) == hash(other)
    assert "seen" not in repr(rule)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_checkpoint_keeps_what_it_has_seen(rule):
    learner, other = (Learner("GRU", "adding", hidden_size=3, mitigations=f"ClipNorm, {rule!r}") for _ in range(2))
    for each in learner.rules:
        each.apply(weight_of(3.0, 4.0))
    checkpoint = {}
    learner.on_save_checkpoint(checkpoint)
    other.on_load_checkpoint(checkpoint)
    assert [each.seen for each in other.rules] == [each.seen for each in learner.rules]
    assert any(each.seen for each in other.rules)
    learner.rules[-1].apply(weight_of(6.0, 8.0))  # a copy: the other does not hear of it
    learner.rules[0].apply(weight_of(6.0, 8.0))
    assert [each.seen for each in other.rules] != [each.seen for each in learner.rules]
    other.on_load_checkpoint({})  # of a time before there were such rules


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path, capsys, monkeypatch):
    """Stopped in its third epoch: with all that rules have seen, with a window that was measured, with coins for each step."""
    cures = "GradientNoise(eta=0.1), AutoClip(50), LossScaling(interval=2), "
    cures += "HDetach, RandomTruncation(5), AdaptiveTruncation(bias=0.3, every=4)"
    words = "train --cell GRU --task adding --task_options.length 8 --hidden_size 3 --steps_per_epoch 3 --batch_size 4"
    results = []
    for folder, stop in (("whole", False), ("parts", True)):
        command = [*words.split(), "--epochs", "3", "--json", "--out", str(tmp_path / folder), "--mitigations", cures]
        if stop:
            begin = Learner.on_train_batch_start

            def interrupted(self, batch, index, begin=begin):
                if self.current_epoch == 2 and index == 1:
                    raise RuntimeError("stopped")
                begin(self, batch, index)

            with monkeypatch.context() as patched:
                patched.setattr(Learner, "on_train_batch_start", interrupted)
                assert main(command) == 2
            capsys.readouterr()
        assert main(command) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0]["loss"] == results[1]["loss"]
    kept = [torch.load(tmp_path / folder / "last.ckpt", weights_only=True) for folder in ("whole", "parts")]
    assert kept[0]["rules"] == kept[1]["rules"]
    assert {"steps": 9} in kept[0]["rules"]
    torch.testing.assert_close(kept[0]["state_dict"], kept[1]["state_dict"], rtol=0, atol=0)
    (window,) = [float(value) for name, value in kept[0]["state_dict"].items() if name.endswith("window")]
    assert 1 <= window <= 8


# AutoClip.


def test_auto_clip_is_numpys_percentile():
    """The authors' line: the percentile of all norms with this one, then torch's own clipping."""
    for percentile in (0.0, 10.0, 35.0, 100.0):
        rule, norms = AutoClip(percentile), []
        for _ in range(12):
            gradient = torch.randn(5, dtype=torch.float64) * torch.rand(()).exp()
            ours, theirs = weight_of(*gradient, dtype=torch.float64), weight_of(*gradient, dtype=torch.float64)
            norms.append(theirs.grad.norm().item())
            nn.utils.clip_grad_norm_(theirs, np.percentile(norms, percentile))
            rule.apply(ours)
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=0)


def test_auto_clip_while_it_trains():
    layer, rule, norms = nn.GRU(INPUT, HIDDEN), AutoClip(50.0), []
    adam, x = torch.optim.Adam(layer.parameters(), lr=0.05), torch.randn(12, 4, INPUT)
    shortened = 0
    for _ in range(8):
        adam.zero_grad()
        (layer(x)[0][-1] - 1).square().sum().backward()
        before = [weight.grad.clone() for weight in layer.parameters()]
        norms.append(torch.cat([each.flatten() for each in before]).norm().item())
        rule.apply(layer.parameters())
        after = torch.cat([weight.grad.flatten() for weight in layer.parameters()]).norm().item()
        limit = float(np.percentile(norms, 50))
        assert after == pytest.approx(min(norms[-1], limit), rel=1e-5)
        shortened += norms[-1] > limit
        adam.step()
    assert rule.seen["norms"] == pytest.approx(sorted(norms), rel=1e-6)
    assert len(norms) == 8


def test_auto_clip_keeps_out_what_is_no_length():
    rule = AutoClip(50.0)
    rule.apply(weight_of(0.0, 0.0))
    rule.apply([])
    assert rule.seen.get("norms", []) == []
    for gradient in ((3.0, 4.0), (torch.inf, 1.0), (torch.nan, 1.0)):
        ours, theirs = weight_of(*gradient), weight_of(*gradient)
        rule.apply(ours)
        ClipNorm(5.0).apply(theirs)
        torch.testing.assert_close(ours.grad, theirs.grad, equal_nan=True)
    assert rule.seen["norms"] == [5.0]


# Gradient noise.


def test_gradient_noise_has_the_variance_of_its_schedule():
    rule, count = GradientNoise(eta=0.3, gamma=0.7), 40_000
    weight = nn.Parameter(torch.zeros(count))
    for step in range(5):
        weight.grad = torch.full((count,), 2.0)
        rule.apply(weight)
        noise, spread = weight.grad - 2, (0.3 / (1 + step) ** 0.7) ** 0.5
        assert noise.mean().item() == pytest.approx(0, abs=5 * spread / count**0.5)
        assert noise.std().item() == pytest.approx(spread, rel=0.02)
    assert rule.seen == {"steps": 5}


def test_gradient_noise_is_of_its_seed_and_step_and_leaves_torchs_generator_alone():
    found = []
    for seed in (0, 0, 1):
        before, rule, layer = torch.get_rng_state(), GradientNoise(seed=seed), nn.GRU(INPUT, HIDDEN)
        torch.set_rng_state(before)
        for weight in layer.parameters():
            weight.grad = torch.zeros_like(weight)
        rule.apply(layer.parameters())
        assert torch.equal(torch.get_rng_state(), before)
        found.append(torch.cat([weight.grad.flatten() for weight in layer.parameters()]))
    assert found[0].equal(found[1])
    assert not found[0].equal(found[2])
    assert found[0].unique().numel() == found[0].numel()


def test_gradient_noise_trains_another_way_that_repeats():
    def run(rule):
        torch.manual_seed(1)
        return losses(rule, 5, nn.GRU(INPUT, HIDDEN))

    assert run(GradientNoise(1.0)) == run(GradientNoise(1.0)) != run(GradientNoise(1e-12))
    assert train_a_little(nn.GRU(INPUT, HIDDEN), steps=1)


# Loss scaling.


def test_loss_scaling_is_torchs_scaler():
    """The same scale after each of a run of steps, of which some overflow, and the same weights."""
    ours, theirs = weight_of(0.0), weight_of(0.0)
    rule, scaler = LossScaling(start=8.0, interval=3), torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
    optimizers = [torch.optim.Adam([weight], lr=0.1) for weight in (ours, theirs)]
    for size in (1.0, 2.0, torch.inf, 0.5, 1.0, 3.0, 1.0, torch.nan, 1.0, 1.0, 1.0, 1.0):
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            loss = (size * weight.square()).sum()
            if weight is ours:
                rule.scale(loss).backward()
                rule.apply(weight)
                optimizer.step()
            else:
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
        assert rule.seen["scale"] == scaler.get_scale()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_loss_scaling_saves_what_half_precision_rounds_to_zero():
    """A loss whose gradient is 1e-9 at the outputs: under autocast it is lost on the way back, and with the scale it is not."""
    layer, x = nn.RNNCell(INPUT, HIDDEN), torch.randn(6, 4, INPUT)

    def gradient(rule, half):
        with torch.autocast("cpu", torch.float16, enabled=half):
            h = None
            for now in x:
                h = layer(now, h)
        layer.zero_grad()
        rule.scale(1e-9 * h.float().sum()).backward()
        rule.apply(layer.parameters())
        return layer.weight_hh.grad

    whole = gradient(ClipNorm(), half=False)
    assert whole.norm() > 1e-10
    assert gradient(ClipNorm(), half=True).eq(0).all()
    saved = gradient(LossScaling(start=2.0**20), half=True)
    assert (saved - whole).norm() < 0.05 * whole.norm()


def test_loss_scaling_changes_no_digit_of_single_precision():
    """The invariant, over a training; other rules see the gradient that it has scaled down again."""
    torch.manual_seed(1)
    layer = nn.LSTM(INPUT, HIDDEN)
    plain = losses(ClipNorm(1e9), 5, copy.deepcopy(layer))
    assert losses(LossScaling(), 5, copy.deepcopy(layer)) == plain
    learner = Learner("GRU", "adding", mitigations="ClipNorm, LossScaling(start=8.0), GradientNoise")
    learner.log = lambda *args, **options: None
    batch = learner.task.sample(4, torch.Generator().manual_seed(0), "train")
    assert learner.training_step(batch, 0).item() == 8 * learner.losses(batch)[0].item()
    assert [type(rule).__name__ for rule in learner.rules] == ["LossScaling", "ClipNorm", "GradientNoise"]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: AutoClip(101.0), r"percentile in \[0, 100\], got 101"),
        (lambda: GradientNoise(0.0), "eta > 0 and gamma >= 0, got 0.0"),
        (lambda: LossScaling(3.0), "a power of two to start with, got 3.0"),
        (lambda: LossScaling(interval=0), "interval >= 1 step, got 0"),
        (lambda: LossScaling().apply(weight_of(1.0, dtype=torch.float16)), "single precision, got float16"),
    ],
)
def test_senseless_numbers(act, said):
    with pytest.raises(ValueError, match=said):
        act()
