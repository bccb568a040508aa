"""Cures that wrap a cell, but attention: each against an oracle of its own, and its invariant after some training."""

import copy
import math

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, TIME, TORCH, sequences, train_a_little
from torch import nn

from rnnvanish import probes
from rnnvanish.layers import state_parts
from rnnvanish.mitigation import innermost
from rnnvanish.mitigations.dilated import Dilated
from rnnvanish.mitigations.skip_through_time import SkipThroughTime
from rnnvanish.mitigations.truncated_backpropagation import TruncatedBackpropagation
from rnnvanish.mitigations.variational_dropout import VariationalDropout
from rnnvanish.mitigations.zoneout import Zoneout


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_zoneout_of_nothing_is_the_plain_layer_and_of_everything_stands_still():
    x = sequences()
    for kind, (_, build) in TORCH.items():
        theirs = build()
        for training in (True, False):
            nothing, everything = (Zoneout(p, p)(theirs).train(training) for p in (0.0, 1.0))
            torch.testing.assert_close(nothing(x)[0], theirs(x)[0], rtol=1e-12, atol=1e-12)
            start = torch.randn(1, BATCH, HIDDEN).double()
            state = (start, start + 1) if kind == "LSTM" else start
            output, final = everything(x, state)
            torch.testing.assert_close(output, start.expand_as(output), rtol=0, atol=0)
            torch.testing.assert_close(final, state, rtol=0, atol=0)


def test_zoneout_evaluates_to_the_mean_of_many_trainings():
    """After one step from one state; each part of the state with its own probability."""
    count = 40_000
    layer = Zoneout(0.2, 0.7)(nn.LSTM(INPUT, HIDDEN).double())
    x = torch.randn(1, 1, INPUT).double().expand(1, count, INPUT)
    state = tuple(torch.randn(1, 1, HIDDEN).double().expand(1, count, HIDDEN).contiguous() for _ in "hc")
    drawn = layer.train()(x, state)[1]
    mean = layer.eval()(x, state)[1]
    plain = layer.cells[0].cell(x[0], tuple(part[0] for part in state))
    for p, now, expected, new, old in zip((0.2, 0.7), drawn, mean, plain, state, strict=True):
        torch.testing.assert_close(now[0].mean(0), expected[0, 0], rtol=0, atol=0.03)
        torch.testing.assert_close(expected[0, 0], p * old[0, 0] + (1 - p) * new[0], rtol=1e-12, atol=1e-12)
        kept = now[0] == old[0]
        assert kept.double().mean().item() == pytest.approx(p, abs=0.01)
        torch.testing.assert_close(torch.where(kept, new, now[0]), new, rtol=0, atol=1e-14)


def test_zoneout_keeps_its_invariant_after_training():
    layer = train_a_little(Zoneout(0.3, 0.6)(nn.LSTM(INPUT, HIDDEN)))
    x = torch.randn(400, 8, INPUT)
    steps = [layer(x[:1])[1]]
    for now in x[1:]:
        steps.append(layer(now[None], steps[-1])[1])
    for p, part in zip((0.3, 0.6), zip(*steps, strict=True), strict=True):
        part = torch.stack(part)
        assert (part[1:] == part[:-1]).double().mean().item() == pytest.approx(p, abs=0.03)


def test_skip_through_time_of_weight_zero_is_the_plain_layer():
    for _, build in TORCH.values():
        theirs, x = build(num_layers=2, bidirectional=True), sequences()
        torch.testing.assert_close(SkipThroughTime(3, 0.0)(theirs)(x)[0], theirs(x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lag", [1, 2, 4])
def test_skip_through_time_step_by_step(lag):
    """The equation again, with a list of all outputs in place of a state that carries the older ones."""
    theirs = nn.RNN(INPUT, HIDDEN).double()
    x, start = sequences(), torch.randn(BATCH, HIDDEN).double()
    h, outputs = start, []
    for t in range(TIME):
        a = x[t] @ theirs.weight_ih_l0.T + theirs.bias_ih_l0 + h @ theirs.weight_hh_l0.T + theirs.bias_hh_l0
        old = outputs[t - lag] if t >= lag else start
        h = torch.tanh(a) + 0.7 * old
        outputs.append(h)
    ours = SkipThroughTime(lag, 0.7)(theirs)
    state = start[None] if lag == 1 else (start[None],) * lag
    torch.testing.assert_close(ours(x, state)[0], torch.stack(outputs), rtol=1e-12, atol=1e-12)


def test_skip_through_time_carries_the_gradient():
    """Where the layer itself passes nothing, the skip alone does: a for every lag, nothing in between; also trained."""
    layer = train_a_little(SkipThroughTime(3, 0.9)(nn.RNN(INPUT, HIDDEN))).double()
    layer.cells[0].cell.from_h.weight.data.zero_()
    x = sequences(10)
    (curve,) = probes.retention(layer, x, lambda returned: returned[0][-1].sum()).values()
    expected = [math.sqrt(HIDDEN) * 0.9 ** math.ceil(k / 3) / math.sqrt(HIDDEN) for k in range(10)]
    torch.testing.assert_close(curve.gain, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=0)


def test_truncated_leaves_every_value_alone():
    for _, build in TORCH.values():
        theirs, x = build(num_layers=2, bidirectional=True), sequences(30)
        torch.testing.assert_close(TruncatedBackpropagation(4)(theirs)(x)[0], theirs(x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", TORCH)
def test_truncated_is_a_loop_that_detaches(kind):
    """Against torch's own layer, run stretch by stretch with a detached state in between."""
    theirs, x = TORCH[kind][1](), sequences(11)
    ours = TruncatedBackpropagation(4)(theirs)
    state, outputs = None, []
    for stretch in x.split(4):
        output, state = theirs(stretch, state)
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        outputs.append(output)
    torch.cat(outputs).square().sum().backward()
    ours(x)[0].square().sum().backward()
    inner = innermost(ours.cells[0])
    torch.testing.assert_close(inner.from_h.weight.grad, theirs.weight_hh_l0.grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(inner.from_x.weight.grad, theirs.weight_ih_l0.grad, rtol=1e-10, atol=1e-12)


def test_truncated_gradient_is_exactly_zero_beyond_the_cut():
    """A window as long as the sequence cuts nothing; a shorter one everything before its last beginning."""
    plain, x = nn.LSTM(INPUT, HIDDEN), torch.randn(11, BATCH, INPUT)
    (whole,) = probes.retention(plain, x).values()
    (uncut,) = probes.retention(TruncatedBackpropagation(11)(plain), x).values()
    torch.testing.assert_close(uncut.gain, whole.gain, rtol=1e-5, atol=0)
    layer = train_a_little(TruncatedBackpropagation(4)(plain))
    (cut,) = probes.retention(layer, x).values()
    assert cut.gain[:3].gt(0).all()  # the last stretch begins with step 9 of 11
    assert cut.gain[3:].eq(0).all()


def test_dilation_of_one_is_the_plain_layer():
    for _, build in TORCH.values():
        theirs, x = build(num_layers=2, bidirectional=True), sequences()
        torch.testing.assert_close(Dilated(base=1)(theirs)(x)[0], theirs(x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", TORCH)
def test_dilated_is_as_many_interleaved_runs(kind):
    """The layer above leaps over 3 steps: torch's own layer over x[0], x[3], ... and over x[1], x[4], ... and so on."""
    theirs, x = TORCH[kind][1](num_layers=2), sequences(11)
    ours = Dilated(base=3)(theirs)
    lower, upper = TORCH[kind][1](), getattr(nn, kind)(HIDDEN, HIDDEN).double()
    for level, alone in enumerate((lower, upper)):
        for name, weight in alone.named_parameters():
            weight.data.copy_(theirs.get_parameter(name.replace("_l0", f"_l{level}")).data)
    y = lower(x)[0]
    expected = torch.empty_like(y)
    for phase in range(3):
        expected[phase::3] = upper(y[phase::3])[0]
    torch.testing.assert_close(ours(x)[0], expected, rtol=1e-12, atol=1e-12)


def test_dilated_reads_one_state_and_none_in_between():
    """Also after training: of the states that a step is handed, the derivative of one alone is not zero."""
    cell = train_a_little(Dilated(start=4)(nn.RNN(INPUT, HIDDEN))).cells[0]
    state = [torch.randn(1, HIDDEN, requires_grad=True) for _ in cell.state_names]
    (new, *_) = cell(torch.randn(1, INPUT), tuple(state))
    found = torch.autograd.grad(new.sum(), state, allow_unused=True)
    assert [gradient is not None and bool(gradient.any()) for gradient in found] == [False, False, False, True]


@pytest.mark.parametrize("kind", TORCH)
def test_variational_dropout_is_a_matrix_without_some_columns(kind):
    """For each sequence: torch's own layer with the mask in its recurrent weights, at every step the same."""
    theirs, x = TORCH[kind][1](), sequences()
    ours = VariationalDropout(0.4)(theirs)
    output, state = ours(x)
    masks = state_parts(state)[-1]
    assert set(masks.flatten().tolist()) == {0.0, 1 / 0.6}
    assert len({tuple(mask.tolist()) for mask in masks[0]}) > 1
    for i, mask in enumerate(masks[0]):
        alone = TORCH[kind][1]()
        alone.load_state_dict(theirs.state_dict())
        alone.weight_hh_l0.data.mul_(mask)
        torch.testing.assert_close(output[:, i], alone(x[:, i])[0], rtol=1e-12, atol=1e-12)
    assert not torch.equal(state_parts(ours(x)[1])[-1], masks)
    torch.testing.assert_close(ours.eval()(x)[0], theirs(x)[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(VariationalDropout(0.0)(theirs)(x)[0], theirs(x)[0], rtol=1e-12, atol=1e-12)


def test_variational_dropout_keeps_its_mask_and_its_fraction_after_training():
    layer = train_a_little(VariationalDropout(0.3)(nn.GRU(INPUT, HIDDEN)))
    x = torch.randn(3, 2000, INPUT)
    first = state_parts(layer(x[:1])[1])[-1]
    last = state_parts(layer(x[1:], layer(x[:1], (torch.zeros_like(first), first))[1])[1])[-1]
    torch.testing.assert_close(last, first, rtol=0, atol=0)
    assert (first == 0).double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert not layer.cells[0].cell.from_h._forward_pre_hooks


def test_a_mask_has_no_gradient():
    layer = VariationalDropout(0.3)(nn.GRU(INPUT, HIDDEN).double())
    (curve,) = probes.retention(layer, sequences()).values()
    assert "mask" not in curve.names
    assert curve.part("h").gain.gt(0).all()


def test_a_dropped_layer_that_was_saved_whole_before_cells_named_their_layers_goes_on():
    layer = VariationalDropout(0.5)(nn.GRU(INPUT, HIDDEN).double())
    saved = copy.deepcopy(layer)
    del vars(saved.cells[0])["layers"]
    outputs = []
    for each in (layer, saved):
        torch.manual_seed(1)
        outputs.append(each(sequences())[0])
    assert torch.equal(*outputs)
