"""Experiments: each computation against an independent one, and each claim against a mechanism that is broken."""

import json
import math
import re

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

from rnnvanish import experiments, plots
from rnnvanish.claim import ClaimBroken
from rnnvanish.experiments import bptt, emerges, gradients, multiplication, small, structure, vanishing
from rnnvanish.experiments.small import Small, difference
from rnnvanish.probes import retention

FEW = 2  # seeds


def broken(claim):
    with pytest.raises(ClaimBroken):
        claim.check(FEW)


# What is drawn


def test_seeds_repeat_themselves_and_leave_the_callers_random_numbers_alone():
    torch.manual_seed(7)
    undisturbed = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(Small(1).x, Small(1).x)
    assert not torch.equal(Small(1).x, Small(2).x)
    assert torch.equal(torch.rand(3), undisturbed)


@pytest.mark.parametrize(
    "claim", [claim for claim in experiments.claims() if not claim.stored], ids=lambda claim: claim.id
)
def test_the_same_seed_gives_the_same_number_and_it_has_the_stated_verdict(claim):
    measurement = claim.measure(seeds=1)
    assert measurement.values == (claim.sample(0),)
    claim.hold(measurement)


@pytest.mark.parametrize("claim", experiments.claims(), ids=lambda claim: claim.id)
def test_every_claim_comes_out_otherwise_with_its_control(claim):
    claim.check_control()


def test_every_section_has_a_claim():
    assert {claim.section for claim in experiments.claims()} >= set(range(1, 24))


# Section 1


def test_outputs_are_those_of_the_equation():
    layer, x = structure.network(0)
    state = torch.zeros(len(x[0]), layer.hidden_size, dtype=torch.float64)
    for t, now in enumerate(x):
        state = torch.tanh(
            now @ layer.weight_ih_l0.T + layer.bias_ih_l0 + state @ layer.weight_hh_l0.T + layer.bias_hh_l0
        )
        torch.testing.assert_close(layer(x)[0][t], state, rtol=0, atol=1e-12)


def test_only_the_steps_from_the_change_on_differ():
    change = structure.change_by_step(*structure.network(0), 60)
    assert (change[:60] == 0).all()
    assert (change[60:] > 0).all()


# Section 2


class Bowl(nn.Module):
    """Half the square of a weight w: slope w, and a step at rate r drops the loss by r w² (1 - r / 2)."""

    def __init__(self, *_):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))

    def forward(self):
        return self.w.square().sum() / 2


def test_drops_in_a_bowl_have_a_closed_form(monkeypatch):
    monkeypatch.setattr(gradients, "Small", Bowl)
    rates = torch.tensor([0.01, 0.5, 1.0, 3.0], dtype=torch.float64)
    promised, real = gradients.drops(0, rates).T
    torch.testing.assert_close(promised, rates * 9)
    torch.testing.assert_close(real, rates * 9 * (1 - rates / 2))
    assert gradients.gradient_says_how_far.sample(0) == pytest.approx(1, rel=0.8)  # half is lost at a rate of one


def test_a_wrong_gradient_is_noticed(monkeypatch):
    right = Small.forward

    def forward(network):
        loss = right(network)
        return loss + (network.readout * network.readout.detach() / 10).sum() - network.readout.square().sum() / 10

    monkeypatch.setattr(Small, "forward", forward)
    assert not torch.allclose(*gradients.slopes(0), rtol=1e-3)
    broken(gradients.gradient_is_the_slope)


def test_a_gradient_that_says_how_far_is_noticed(monkeypatch):
    monkeypatch.setattr(gradients, "drops", lambda seed, unit: gradients.LEARNING_RATES[:, None].expand(-1, 2))
    broken(gradients.gradient_says_how_far)


# Section 3


def test_forward_mode_gives_the_gradient_that_the_way_back_gives():
    network = Small(0)
    names, weights = zip(*network.rnn.named_parameters(), strict=True)
    directions = tuple(torch.randn_like(weight) for weight in weights)

    def loss(*given):
        return torch.func.functional_call(network, {f"rnn.{k}": v for k, v in zip(names, given, strict=True)}, ())

    _, forward = torch.func.jvp(loss, tuple(weight.detach() for weight in weights), directions)
    ours = bptt.by_hand(network)
    back = sum((ours[name] * direction).sum() for name, direction in zip(names, directions, strict=True))
    torch.testing.assert_close(forward, back, rtol=1e-10, atol=0)


def test_a_way_back_that_stops_early_is_noticed(monkeypatch):
    monkeypatch.setattr(bptt, "reversed", lambda steps: [*steps][:-4:-1], raising=False)
    broken(bptt.last_step_to_first)


def test_a_way_back_from_the_first_step_to_the_last_is_noticed(monkeypatch):
    monkeypatch.setattr(bptt, "reversed", lambda steps: steps, raising=False)
    broken(bptt.last_step_to_first)


def test_every_state_is_kept_at_the_least():
    assert bptt.kept(40) > 40 * small.HIDDEN * small.BATCH


def test_of_pieces_that_are_computed_again_one_state_each_is_kept_and_all_of_one():
    state = small.HIDDEN * small.BATCH
    assert bptt.kept_of_pieces(480, pieces=24) - bptt.kept_of_pieces(240, pieces=12) == 12 * state
    assert bptt.kept_of_pieces(240, pieces=12) > (12 + 20) * state  # a piece has 20 steps
    assert bptt.kept(240) > 5 * bptt.kept_of_pieces(240)


def test_pieces_that_save_nothing_are_noticed(monkeypatch):
    monkeypatch.setattr(bptt, "checkpoint", lambda read, piece, state, use_reentrant: read(piece, state))
    broken(bptt.way_back_needs_every_step)


# Section 4


def test_contributions_are_those_of_the_way_back_by_hand():
    network = Small(1)
    assert difference(emerges.contributions(network).sum(0), bptt.by_hand(network)["weight_hh_l0"]) < 1e-12


def test_first_step_contributes_nothing_and_shares_make_a_whole():
    network = Small(1)
    assert float(emerges.contributions(network)[0].abs().max()) == 0
    assert float(emerges.shares(network).sum()) == pytest.approx(1)


def test_a_lost_contribution_is_noticed(monkeypatch):
    right = emerges.contributions
    monkeypatch.setattr(
        emerges, "contributions", lambda network: right(network) * (torch.arange(60) != 58)[:, None, None]
    )
    broken(emerges.contributions_add)


def test_a_world_in_which_derivatives_of_weights_multiply_is_noticed(monkeypatch):
    ones = torch.ones(4, 4, dtype=torch.float64) / 4  # of size 1: so is the product of any number of them
    monkeypatch.setattr(emerges, "contributions", lambda network: ones.expand(60, 4, 4))
    monkeypatch.setattr(emerges, "gradient", lambda network: ones)
    broken(emerges.derivatives_of_weights_multiply)


@pytest.mark.parametrize("order", ["transposed", "first to last"])
def test_a_wrong_jacobian_is_noticed(monkeypatch, order):
    right = emerges.step_jacobians

    def wrong(network):
        return right(network)[::-1] if order == "first to last" else [step.T for step in right(network)]

    monkeypatch.setattr(emerges, "step_jacobians", wrong)
    broken(emerges.derivatives_of_states_multiply)


def test_steps_with_an_equal_say_are_noticed(monkeypatch):
    monkeypatch.setattr(emerges, "shares", lambda network: torch.full((60,), 1 / 60, dtype=torch.float64))
    broken(emerges.every_step_has_a_say)


def test_larger_weights_let_earlier_steps_speak():
    last = [float(emerges.shares(emerges.scaled(0, scale))[-10:].sum()) for scale in (0.5, 1, 2)]
    assert last == sorted(last, reverse=True)


# Section 5


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.0, 1.5])
def test_a_straight_network_keeps_gain_to_the_power_of_the_lag(gain):
    measured = multiplication.curve("linear", gain)
    torch.testing.assert_close(measured.gain, gain ** measured.lag.double(), rtol=1e-9, atol=0)
    assert multiplication.factor("linear", gain) == pytest.approx(multiplication.slope_times_weights("linear", gain))


def test_a_straight_network_is_straight_and_its_weights_only_turn():
    layer = multiplication.network("linear", 1.0)
    x = multiplication.quiet()
    torch.testing.assert_close(layer(3 * x)[0] - layer(2 * x)[0], layer(2 * x)[0] - layer(x)[0], rtol=0, atol=1e-12)
    weights = layer.get_parameter("cells.0.from_h.weight")
    torch.testing.assert_close(weights @ weights.T, torch.eye(len(weights), dtype=torch.float64), rtol=0, atol=1e-12)


def test_slope_is_that_of_finite_differences():
    h = torch.tensor([[[0.3]]], dtype=torch.float64)
    for f, inverse, slope in (
        (torch.tanh, torch.atanh, lambda h: 1 - h**2),
        (torch.sigmoid, torch.logit, lambda h: h * (1 - h)),
    ):
        z = inverse(h)
        torch.testing.assert_close((f(z + 1e-6) - f(z - 1e-6)) / 2e-6, slope(h), rtol=1e-6, atol=0)


def test_loud_inputs_flatten_the_slope():
    layer, x = multiplication.network("tanh", 1.5), multiplication.quiet()
    (quiet,), (loud,) = (list(retention(layer, x * volume).values()) for volume in (1, 1000))
    assert quiet.rate > 0 > loud.rate


def test_factors_that_do_not_compound_are_noticed(monkeypatch):
    right = multiplication.curve
    monkeypatch.setattr(multiplication, "curve", lambda kind, gain, seed=0, volume=1.0: right(kind, 0.91, seed))
    broken(multiplication.factors_compound)


def test_squashing_that_does_shrink_is_noticed(monkeypatch):
    right = multiplication.factor
    monkeypatch.setattr(multiplication, "factor", lambda kind, gain, seed=0, volume=1.0: right("sigmoid", gain, seed))
    broken(multiplication.squashing_is_the_reason)


def test_weights_that_stretch_unevenly_break_the_prediction(monkeypatch):
    def skewed(tensor, gain=1.0):  # the same size as an orthogonal matrix, but not one
        return nn.init.normal_(tensor, std=2 * gain / math.sqrt(len(tensor)))

    monkeypatch.setattr(multiplication.nn.init, "orthogonal_", skewed)
    broken(multiplication.slope_times_weights_decides)


# Section 6


def test_curve_is_that_of_a_loop_by_hand():
    layer, x = vanishing.network(0)
    states = [torch.zeros(vanishing.BATCH, vanishing.HIDDEN, dtype=torch.float64)]
    for now in x:
        states.append(layer(now[None], states[-1][None])[1][0].detach())
    gradient = torch.ones_like(states[0])
    measured = vanishing.curve(0).gain
    for lag in range(100):
        gradient = (gradient * (1 - states[len(x) - lag] ** 2)) @ layer.weight_hh_l0.detach()
        expected = float((gradient.norm(dim=1) / math.sqrt(vanishing.HIDDEN)).log().mean().exp())
        assert float(measured[lag + 1]) == pytest.approx(expected, rel=1e-9)


def test_all_steps_agree_with_themselves_and_their_gradient_is_that_of_autograd():
    assert vanishing.angle(0, last=vanishing.STEPS) == pytest.approx(0, abs=1e-5)
    layer, x = vanishing.network(0, "orthogonal")
    assert vanishing.angle(0, "orthogonal", last=90) < vanishing.angle(0, "orthogonal", last=2) < 180
    torch.testing.assert_close(
        vanishing.gradient(layer, x),
        torch.autograd.grad(layer(x)[1].square().sum(), layer.weight_hh_l0)[0],
    )


def test_counts_of_single_precision_are_those_of_the_logarithm():
    """In double precision the gradient of the same network passes below the smallest numbers at the same steps."""
    zero, inexact = vanishing.lost_in_single_precision(0)
    layer, _ = vanishing.network(0)
    with small.seeded(0):
        x = torch.randn(200, vanishing.BATCH, 1).double().requires_grad_()
    size = torch.autograd.grad(layer(x)[0][-1].sum(), x)[0].abs().amax(dim=(1, 2))
    assert zero + inexact == pytest.approx(int((size < torch.finfo(torch.float32).tiny).sum()), abs=2)


# What pages draw


def shown(capture, monkeypatch):
    import IPython.display

    monkeypatch.setattr(IPython.display, "display", lambda thing: capture.append(thing.data))


def test_slider_holds_its_curves_and_can_be_read_without_javascript(monkeypatch):
    boxes = []
    shown(boxes, monkeypatch)
    options = {"x": [0, 1], "xlabel": "steps", "ylabel": "left", "says": ["a < b", "c"]}
    plots.slider(id="s", label="Gain", values=[1, 2], series={"one": [[1, math.nan], [1, 1 / 3]]}, **options)
    (box,) = boxes
    fallback, template = re.fullmatch(r"<rv-slider.*?>(.*)<template>(.*)</template></rv-slider>", box).groups()
    assert fallback.startswith("<p>Gain, from 1 to 2: what one sees at each.</p><ul><li>1: a &lt; b</li>")
    data = json.loads(template.replace("&lt;", "<"))
    assert data["series"] == [{"name": "one", "y": [[1.0, None], [1.0, 0.3333]]}]
    plots.slider(id="s", label="Gain", values=[1, 2], series={}, still="All < 1.", **options)
    assert "<p>All &lt; 1.</p><template>" in boxes[1]
    assert "<li>" not in boxes[1]
    plots.slider(id="s", label="Start", unit="drawn", values=["a & b", "c, d"], series={}, **options)
    assert "<p>Start, from “a &amp; b” to “c, d” drawn: what one sees at each.</p><ul><li>a &amp; b drawn: " in boxes[2]
    with pytest.raises(ValueError, match="needs 2 curves of 2 points in 'one'"):
        plots.slider(id="s", label="Gain", values=[1, 2], series={"one": [[1, 2]]}, **options)
    with pytest.raises(ValueError, match="needs 2 sentences"):
        plots.slider(id="s", label="Gain", values=[1, 2], series={}, **{**options, "says": []})


def test_retention_axis_is_in_words():
    axes = plots.retention({"default": vanishing.curve(0), "orthogonal": vanishing.curve(0, "orthogonal")})
    assert "all" in [label.get_text() for label in axes.get_yticklabels()]
    assert any(label.get_text().startswith("1 in 10") for label in axes.get_yticklabels())
    beside = {text.get_text(): text.xy[1] for text in axes.texts}  # each curve has its name where it ends
    assert beside["orthogonal"] > beside["default"]


def test_source_is_the_code_itself(monkeypatch):
    texts = []
    shown(texts, monkeypatch)
    plots.source(bptt.by_hand, "Show the loop")
    assert texts[0].startswith(
        '<details class="rv-code" markdown="1">\n<summary>Show the loop</summary>\n\n```python\n@torch'
    )
    assert "\ndef by_hand(" in texts[0]


def test_an_axis_across_has_words_too():
    axes = plt.subplots()[1]
    axes.set(xscale="log", xlim=(1e-9, 1))
    plots.label_decades(axes, x=True)
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "1 in a billion",
        "1 in a million",
        "1 in a thousand",
        "all",
    ]
