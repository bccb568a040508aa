"""Cures that change how a layer computes: each against an oracle of its own, and its invariant after some training."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import Recurrent, cells, mitigations, probes
from rnnvanish.layers import state_parts
from rnnvanish.mitigation import Build, Wrapper, innermost, wrap
from rnnvanish.mitigations.dilated import Dilated
from rnnvanish.mitigations.layer_normalisation import LayerNormalisation
from rnnvanish.mitigations.orthogonal_constraint import OrthogonalConstraint
from rnnvanish.mitigations.skip_through_time import SkipThroughTime
from rnnvanish.mitigations.truncated_backpropagation import TruncatedBackpropagation
from rnnvanish.mitigations.variational_dropout import VariationalDropout
from rnnvanish.mitigations.zoneout import Zoneout

TIME, BATCH, INPUT, HIDDEN = 7, 4, 3, 5
BUILDS = {name: cure for name, cure in mitigations.ALL.items() if issubclass(cure, Build)}
#: Those that put a cell of their own around each cell.
STEPWISE = [name for name in BUILDS if name != "AttentionOverPast"]
TORCH = {
    "RNN": (cells.Elman, lambda **options: nn.RNN(INPUT, HIDDEN, **options).double()),
    "LSTM": (cells.LSTM, lambda **options: nn.LSTM(INPUT, HIDDEN, **options).double()),
    "GRU": (cells.GRU, lambda **options: nn.GRU(INPUT, HIDDEN, **options).double()),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def sequences(time=TIME):
    return torch.randn(time, BATCH, INPUT, dtype=torch.float64)


def train_a_little(model, steps=30):
    """Enough steps, and large ones, for every weight to move."""
    x, target = torch.randn(12, 8, INPUT), torch.randn(8, HIDDEN)
    rule = torch.optim.Adam(model.parameters(), lr=0.02)
    before = [weight.detach().clone() for weight in model.parameters()]
    for _ in range(steps):
        rule.zero_grad()
        (model(x)[0][-1] - target).square().mean().backward()
        rule.step()
    moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert all(moved)
    return model


# What holds for every cure of this kind.


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("name", BUILDS)
def test_a_build_works_wherever_a_layer_works(name, kind):
    """Layers, directions, dropout, lengths, packing; two halves equal one run; each sequence as if it were alone."""
    theirs = TORCH[kind][1](num_layers=2, bidirectional=True, dropout=0.5)
    layer = BUILDS[name]()(theirs).eval()
    x, lengths = sequences(), torch.tensor([2, 7, 1, 5])
    output, final = layer(x, lengths=lengths)
    packed, last = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    padded = nn.utils.rnn.pad_packed_sequence(packed)[0]
    torch.testing.assert_close(padded, output)
    for i, length in enumerate(lengths):
        alone, ended = layer(x[:length, i])
        torch.testing.assert_close(output[:length, i], alone)
        assert not output[length:, i].any()
        for part, packed_part, expected in zip(state_parts(final), state_parts(last), state_parts(ended), strict=True):
            torch.testing.assert_close(part[:, i], expected)
            torch.testing.assert_close(packed_part[:, i], expected)
    output.sum().backward()
    assert all(weight.grad is not None for weight in layer.parameters())


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("name", STEPWISE)
def test_two_halves_equal_one_run(name, kind):
    layer = BUILDS[name]()(TORCH[kind][1](num_layers=2))
    x = sequences(30)
    for training in (False,) if name == "Zoneout" else (False, True):
        layer.train(training)
        torch.manual_seed(1)
        whole, final = layer(x)
        torch.manual_seed(1)
        first, between = layer(x[:11])
        second, last = layer(x[11:], between)
        torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-14)
        torch.testing.assert_close(state_parts(last), state_parts(final), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("name", STEPWISE)
def test_retention_sees_through(name, kind):
    """What the probe says of a lag is the derivative with respect to a state that is handed in so many steps before."""
    layer = BUILDS[name]()(TORCH[kind][1]()).eval()
    x = sequences(30)[:, :1]
    (curve,) = probes.retention(layer, x, lambda returned: returned[0][-1].sum()).values()
    assert tuple(curve.names) == layer.state_names
    for lag in (1, 2, 7):
        state = [part.detach().requires_grad_() for part in state_parts(layer(x[:-lag])[1])]
        handed = tuple(state) if len(state) > 1 else state[0]
        found = torch.autograd.grad(layer(x[-lag:], handed)[0][-1].sum(), state, allow_unused=True)
        squares = sum(gradient.square().sum() for gradient in found if gradient is not None)
        torch.testing.assert_close(curve.gain[lag] * HIDDEN**0.5, squares.sqrt(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", BUILDS)
def test_a_layer_inside_a_model_is_changed_where_it_stands(name):
    model = nn.ModuleDict({"encoder": nn.ModuleDict({"rnn": nn.GRU(INPUT, HIDDEN)}), "readout": nn.Linear(HIDDEN, 1)})
    assert BUILDS[name]()(model) is model
    assert not isinstance(model["encoder"]["rnn"], nn.GRU)
    with pytest.raises(ValueError, match="a model with a recurrent layer"):
        BUILDS[name]()(nn.Linear(2, 2))


def test_wrappers_compose():
    """Two wrappers that change nothing, around one that does: the innermost cell is found, the numbers are the same."""
    plain = Recurrent(cells.LSTM, INPUT, HIDDEN).double()
    x = sequences()
    expected = plain(x)[0]
    cell = plain.cells[0]
    layer = wrap(TruncatedBackpropagation(3)(SkipThroughTime(2, 0.0)(plain)), Wrapper)
    assert innermost(layer.cells[0]) is cell
    assert layer.state_names == ("h", "c", "h-1", "clock")
    torch.testing.assert_close(layer(x)[0], expected, rtol=0, atol=0)


def test_what_a_wrapper_carries_is_not_touched_by_another():
    """Zoneout around a clock, a queue and a mask: every unit of the cell stands still, all else goes on."""
    layer = Recurrent(cells.LSTM, INPUT, HIDDEN)
    for cure in (VariationalDropout(0.5), SkipThroughTime(3, 0.5), TruncatedBackpropagation(4), Zoneout(1.0, 1.0)):
        layer = cure(layer)
    assert layer.state_names == ("h", "c", "mask", "h-1", "h-2", "clock")
    start = [torch.randn(1, BATCH, HIDDEN) for _ in layer.state_names[:-1]]
    clock = torch.ones(1, BATCH, HIDDEN)
    h, c, mask, *older, clock = layer(torch.randn(2, BATCH, INPUT), (*start, clock))[1]
    for now, before in ((h, start[0]), (c, start[1]), (mask, start[2]), (older[0], start[0]), (older[1], start[0])):
        torch.testing.assert_close(now, before, rtol=0, atol=0)
    assert clock.eq(3).all()


# Orthogonal constraint.


@pytest.mark.parametrize("kind", TORCH)
def test_orthogonal_stays_orthogonal(kind):
    layer = OrthogonalConstraint()(TORCH[kind][1]().float())
    before = layer.cells[0].from_h.weight.detach().clone()
    train_a_little(layer)
    weight = layer.cells[0].from_h.weight.detach()
    assert (weight - before).abs().max() > 0.01
    for u in weight.split(HIDDEN):
        torch.testing.assert_close(u.T @ u, torch.eye(HIDDEN), rtol=0, atol=1e-6)


def test_orthogonal_starts_at_the_nearest_rotation_of_what_it_finds():
    """An orthogonal matrix is left as it is, and the run of the layer is then torch's own."""
    theirs = nn.GRU(INPUT, HIDDEN).double()
    for gate in theirs.weight_hh_l0.detach().split(HIDDEN):
        nn.init.orthogonal_(gate)
    ours = OrthogonalConstraint()(theirs)
    x = sequences()
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="without a constraint"):
        OrthogonalConstraint()(ours)


def test_orthogonal_is_computed_once_a_run(monkeypatch):
    layer = OrthogonalConstraint()(nn.RNN(INPUT, HIDDEN))
    calls = []
    matrix_exp = torch.linalg.matrix_exp
    monkeypatch.setattr(torch, "matrix_exp", lambda a: calls.append(1) or matrix_exp(a))
    monkeypatch.setattr(torch.linalg, "matrix_exp", torch.matrix_exp)
    layer(torch.randn(20, 2, INPUT))
    assert len(calls) == 1


def test_orthogonal_and_linear_keeps_the_gradient_exactly():
    layer = OrthogonalConstraint()(Recurrent(cells.Elman, INPUT, HIDDEN).double())
    layer.cells[0].nonlinearity = nn.Identity()
    (curve,) = probes.retention(layer, sequences(50)).values()
    torch.testing.assert_close(curve.gain, torch.ones(50, dtype=torch.float64), rtol=1e-10, atol=0)


# Zoneout.


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


# Skip through time.


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


# Truncated backpropagation.


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


# Dilated recurrence.


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


# Layer normalisation.


def test_layer_normalisation_step_by_step():
    """The LSTM of the paper's supplement but for its c: every number normalised by hand."""
    theirs, x = nn.LSTM(INPUT, HIDDEN).double(), sequences()
    ours = LayerNormalisation()(theirs)
    linears = ours.cells[0].from_x, ours.cells[0].from_h
    for linear in linears:
        nn.init.normal_(linear.gain)

    def normalised(linear, v):
        product = v @ linear.weight.T
        deviation = product - product.mean(-1, keepdim=True)
        spread = (deviation.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return linear.gain * deviation / spread + linear.bias

    h = c = torch.zeros(BATCH, HIDDEN).double()
    for now in x:
        i, f, g, o = (normalised(linears[0], now) + normalised(linears[1], h)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    torch.testing.assert_close(ours(x)[1], (h[None], c[None]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", TORCH)
def test_layer_normalisation_does_not_mind_the_size_of_weights(kind):
    layer = train_a_little(LayerNormalisation()(TORCH[kind][1](bias=False).float())).double()
    x = sequences()
    before = layer(x)[0]
    for linear in (layer.cells[0].from_x, layer.cells[0].from_h):
        linear.weight.data.mul_(1e3)
    torch.testing.assert_close(layer(x)[0], before, rtol=1e-2, atol=1e-3)  # up to the paper's little number in the root
    after = layer(x)[0]
    layer.cells[0].from_h.weight.data.mul_(1e3)
    torch.testing.assert_close(layer(x)[0], after, rtol=1e-6, atol=1e-6)
    layer.cells[0].from_h.gain.data.mul_(2)
    assert (layer(x)[0] - after).abs().max() > 0.01


def test_layer_normalisation_and_a_constraint_stand_together_in_one_order():
    layer = train_a_little(OrthogonalConstraint()(LayerNormalisation()(nn.GRU(INPUT, HIDDEN))))
    for u in layer.cells[0].from_h.weight.split(HIDDEN):
        torch.testing.assert_close(u.T @ u, torch.eye(HIDDEN), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="before constraints"):
        LayerNormalisation()(OrthogonalConstraint()(nn.GRU(INPUT, HIDDEN)))


# Variational dropout.


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
    assert curve.part("mask").gain.eq(0).all()
    assert curve.part("h").gain.gt(0).all()


# Attention is in test_attention.py.


@pytest.mark.parametrize(
    ("build", "needed"),
    [
        (lambda: Zoneout(1.5), r"probability output in \[0, 1\]"),
        (lambda: SkipThroughTime(0), "lag >= 1"),
        (lambda: Dilated(base=0), "base >= 1"),
        (lambda: VariationalDropout(1.0), r"probability in \[0, 1\)"),
        (lambda: TruncatedBackpropagation(0), "window >= 1"),
    ],
)
def test_numbers_are_checked(build, needed):
    with pytest.raises(ValueError, match=needed):
        build()
