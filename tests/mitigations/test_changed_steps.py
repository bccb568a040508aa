"""Cures that change what a step computes of its state or of its weights: each against another cell, or its equations again."""

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, TORCH, sequences, train_a_little
from torch import nn

from rnnvanish import Recurrent, cells, probes
from rnnvanish.mitigations import (
    CoupledGates,
    GradientNormPenalty,
    HighwayThroughTime,
    LeakyStep,
    MultiplicativeIntegration,
    ResidualThroughTime,
    RMSNormalisation,
    WeightDrop,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def other_cell(kind, weights, **options):
    """A layer of another cell, with the numbers of this one's: `weights` by their names there."""
    layer = Recurrent(kind, INPUT, HIDDEN, **options).double()
    assert layer.cells[0].state_dict().keys() == weights.keys()
    layer.cells[0].load_state_dict(weights)
    return layer


def same(ours, theirs, time=7):
    x = sequences(time)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-10, atol=1e-12)


def test_residual_around_a_plain_cell_is_fastrnn():
    layer = train_a_little(ResidualThroughTime()(nn.RNN(INPUT, HIDDEN)), steps=4).double()
    wrapper, cell = layer.cells[0], layer.cells[0].cell
    assert wrapper.alpha.item() != -3.0
    weights = {
        "alpha": wrapper.alpha,
        "beta": wrapper.beta,
        "from_x.weight": cell.from_x.weight,
        "from_x.bias": cell.from_x.bias + cell.from_h.bias,
        "from_h.weight": cell.from_h.weight,
    }
    same(layer, other_cell(cells.FastRNN, weights))


def test_residual_carries_the_gradient():
    """Where the cell itself passes nothing, the way past it alone does: σ(β) for each step; also in an LSTM, of h."""
    layer = train_a_little(ResidualThroughTime()(nn.RNN(INPUT, HIDDEN)), steps=4).double()
    layer.cells[0].cell.from_h.weight.data.zero_()
    (curve,) = probes.retention(layer, sequences(10), lambda returned: returned[0][-1].sum()).values()
    kept = torch.sigmoid(layer.cells[0].beta.detach())
    torch.testing.assert_close(curve.gain, kept ** torch.arange(10), rtol=1e-9, atol=0)


def test_highway_around_a_plain_cell_is_rhn_of_depth_one():
    layer = train_a_little(HighwayThroughTime()(nn.RNN(INPUT, HIDDEN)), steps=4).double()
    wrapper, cell = layer.cells[0], layer.cells[0].cell
    weights = {
        "from_x.weight": torch.cat([cell.from_x.weight, wrapper.transform_x.weight]),
        "from_s1.weight": torch.cat([cell.from_h.weight, wrapper.transform_h.weight]),
        "from_s1.bias": torch.cat([cell.from_x.bias + cell.from_h.bias, wrapper.transform_h.bias]),
    }
    same(layer, other_cell(cells.RHN, weights, depth=1))


def test_leaky_step_around_a_plain_cell_is_the_leaky_network():
    theirs = nn.RNN(INPUT, HIDDEN).double()
    layer = LeakyStep(steps=4)(theirs)
    weights = {
        "from_x.weight": theirs.weight_ih_l0,
        "from_x.bias": theirs.bias_ih_l0 + theirs.bias_hh_l0,
        "from_h.weight": theirs.weight_hh_l0,
    }
    same(layer, other_cell(cells.LeakyRNN, weights, leak=1 / 4))


@pytest.mark.parametrize("cure", [HighwayThroughTime(), LeakyStep(3.0)], ids=repr)
def test_each_unit_stays_between_its_old_value_and_the_steps_own(cure):
    """After training; of an LSTM's h, and with a leak of its c too."""
    layer = train_a_little(cure(nn.LSTM(INPUT, HIDDEN)), steps=4).double()
    wrapper = layer.cells[0]
    state = tuple(torch.randn(BATCH, HIDDEN).double() for _ in "hc")
    x = sequences(1)[0]
    after, own = wrapper(x, state), wrapper.cell(x, state)
    for place in range(2):
        part = (after[place] - state[place]) / (own[place] - state[place])
        mixed = place == 0 or isinstance(cure, LeakyStep)
        assert part.gt(0).all()
        assert part.lt(1).all() if mixed else part.allclose(torch.ones_like(part))
        if isinstance(cure, LeakyStep):
            rate = wrapper.rates[f"of_{place}"].detach()
            assert rate.unique().numel() == HIDDEN  # learnt, unit by unit
            torch.testing.assert_close(part, torch.sigmoid(rate).expand_as(part), rtol=1e-9, atol=1e-9)


def test_coupled_gates_of_an_lstm_are_the_coupled_lstm():
    layer = train_a_little(CoupledGates()(nn.LSTM(INPUT, HIDDEN)), steps=4).double()
    cell = layer.cells[0]

    def rest(weight):  # of i, f, g, o
        return weight[HIDDEN:]

    weights = {
        "from_x.weight": rest(cell.from_x.weight),
        "from_x.bias": rest(cell.from_x.bias + cell.from_h.bias),
        "from_h.weight": rest(cell.from_h.weight),
    }
    same(layer, other_cell(cells.CoupledLSTM, weights))
    i, f, *_ = (cell.from_x(sequences()) + cell.from_h(torch.randn(HIDDEN).double())).chunk(4, -1)
    torch.testing.assert_close(torch.sigmoid(i) + torch.sigmoid(f), torch.ones_like(i))


def test_coupled_gates_keep_what_the_gate_that_keeps_was():
    theirs = nn.LSTM(INPUT, HIDDEN)
    before = {name: weight.clone() for name, weight in theirs.state_dict().items()}
    layer = CoupledGates()(theirs)
    for name, weight in before.items():
        assert torch.equal(getattr(layer, name)[HIDDEN:], weight[HIDDEN:])


@pytest.mark.parametrize("kind", TORCH)
def test_multiplicative_integration_step_by_step(kind):
    theirs, x = TORCH[kind][1](), sequences()
    layer = MultiplicativeIntegration(0.0, 1.0)(theirs)
    torch.testing.assert_close(layer(x)[0], theirs(x)[0], rtol=1e-10, atol=1e-12)
    wrapper = layer.cells[0]
    for each in (wrapper.alpha, wrapper.beta_x, wrapper.beta_h):
        nn.init.normal_(each)
    w, u, b, c = (getattr(theirs, name) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))
    h = cell = torch.zeros(BATCH, HIDDEN).double()
    for now in x:
        wx, uh = now @ w.T, h @ u.T
        read, kept = wrapper.beta_x * wx + b, wrapper.alpha * wx * uh + wrapper.beta_h * uh + c
        if kind == "RNN":
            h = torch.tanh(read + kept)
        elif kind == "LSTM":
            i, f, g, o = (read + kept).chunk(4, -1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(cell)
        else:
            (xr, xz, xn), (hr, hz, hn) = read.chunk(3, -1), kept.chunk(3, -1)
            z = torch.sigmoid(xz + hz)
            h = (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * h
    torch.testing.assert_close(layer(x)[0][-1], h, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("normalised_first", [True, False])
def test_multiplicative_integration_of_what_is_normalised(normalised_first):
    """Both products are then the normalised ones, whichever cure came first."""
    cures = (RMSNormalisation(), MultiplicativeIntegration(0.7, 0.4))
    layer = nn.RNN(INPUT, HIDDEN).double()
    for cure in cures if normalised_first else reversed(cures):
        layer = cure(layer)
    cell, x, h = layer.cells[0].cell, sequences(1)[0], torch.randn(BATCH, HIDDEN).double()
    wx, uh = (
        product / (product.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        for product in (x @ cell.from_x.weight.T, h @ cell.from_h.weight.T)
    )
    expected = torch.tanh(0.7 * wx * uh + 0.4 * (wx + uh) + cell.from_x.bias + cell.from_h.bias)
    torch.testing.assert_close(layer.cells[0](x, (h,))[0], expected)


def test_multiplicative_integration_after_training_scales_what_the_state_does():
    """The derivative of U h's part is α W x + β: with an input twice as large it is α twice W x, and β."""
    layer = train_a_little(MultiplicativeIntegration()(nn.RNN(INPUT, HIDDEN)), steps=4).double()
    cell, wrapper = layer.cells[0].cell, layer.cells[0]
    cell.nonlinearity = nn.Identity()
    x, h = torch.randn(1, INPUT).double(), torch.randn(1, HIDDEN).double()
    for times in (1, 2):
        jacobian = torch.autograd.functional.jacobian(lambda h, x=times * x: wrapper(x, (h,))[0], h)[0, :, 0]
        factor = wrapper.alpha * times * (cell.from_x.weight @ x[0]) + wrapper.beta_h
        torch.testing.assert_close(jacobian, (factor[:, None] * cell.from_h.weight).detach())


@pytest.mark.parametrize("kind", TORCH)
def test_weight_drop_is_a_layer_without_some_weights(kind):
    """For all steps and sequences of a run the same, and torch's own layer then; another in the next run."""
    theirs, x = TORCH[kind][1](), sequences()
    layer = WeightDrop(0.4)(theirs)
    torch.testing.assert_close(layer.eval()(x)[0], theirs(x)[0], rtol=1e-10, atol=1e-12)
    layer.train()
    torch.manual_seed(1)
    output = layer(x)[0]
    torch.manual_seed(1)
    drawn = layer.cells[0].from_h.weight.detach()
    raw = theirs.weight_hh_l0.detach()
    assert set((drawn / raw).round(decimals=9).unique().tolist()) == {0.0, round(1 / 0.6, 9)}
    alone = TORCH[kind][1]()
    alone.load_state_dict(theirs.state_dict())
    alone.weight_hh_l0.data.copy_(drawn)
    torch.testing.assert_close(output, alone(x)[0], rtol=1e-10, atol=1e-12)
    assert not torch.allclose(layer(x)[0], output)
    output.sum().backward()
    gradient = layer.cells[0].from_h.parametrizations.weight.original.grad
    assert torch.equal(gradient == 0, drawn == 0)


def test_weight_drop_keeps_its_fraction_after_training_and_is_seen_through():
    """A penalty that replays the steps of a run has the mask of that run."""
    layer = train_a_little(WeightDrop(0.3)(nn.RNN(INPUT, HIDDEN)), steps=4).double()
    zeros = [(layer.cells[0].from_h.weight == 0).double().mean().item() for _ in range(400)]
    assert sum(zeros) / 400 == pytest.approx(0.3, abs=0.02)
    x = sequences()
    alone = nn.RNN(INPUT, HIDDEN).double()
    for name, weight in alone.named_parameters():
        weight.data.copy_(getattr(layer, name).data)
    torch.manual_seed(1)
    alone.weight_hh_l0.data.copy_(layer.cells[0].from_h.weight.data)
    torch.manual_seed(1)
    found = GradientNormPenalty().penalty(layer, x, lambda returned: returned[0][-1].sum())
    expected = GradientNormPenalty().penalty(alone, x, lambda returned: returned[0][-1].sum())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: CoupledGates()(nn.GRU(INPUT, HIDDEN)), "another that writes.*; got GRU"),
        (lambda: CoupledGates()(Recurrent(cells.PeepholeLSTM, INPUT, HIDDEN)), "got PeepholeLSTM"),
        (lambda: CoupledGates()(CoupledGates()(nn.LSTM(INPUT, HIDDEN))), "couple gates before constraints"),
        (
            lambda: MultiplicativeIntegration()(Recurrent(cells.IndRNN, INPUT, HIDDEN)),
            "from_x and from_h.*, got IndRNN",
        ),
        (lambda: MultiplicativeIntegration()(Recurrent(cells.ATR, INPUT, HIDDEN)), "the same gates, got ATR"),
        (lambda: HighwayThroughTime()(Recurrent(cells.URNN, INPUT, HIDDEN)), "a real number for each unit, got URNN"),
        (lambda: ResidualThroughTime()(Recurrent(cells.DeltaNet, INPUT, 4, heads=2)), "each unit, got DeltaNet"),
        (lambda: LeakyStep(1.0), "more than 1 step, got 1.0"),
        (lambda: WeightDrop(1.0), r"probability in \[0, 1\), got 1.0"),
        (
            lambda: WeightDrop()(nn.Sequential(nn.GRUCell(INPUT, HIDDEN))),
            "for a whole run, and 0, of class GRUCell, is a step",
        ),
    ],
)
def test_what_does_not_suit_is_refused(build, said):
    with pytest.raises(ValueError, match=said):
        build()
