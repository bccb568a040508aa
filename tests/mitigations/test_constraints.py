"""Cures that constrain or normalise the weights: each against an oracle of its own, and its invariant after some training."""

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, TORCH, sequences, train_a_little
from torch import nn

from rnnvanish import Recurrent, cells, probes
from rnnvanish.mitigations.layer_normalisation import LayerNormalisation
from rnnvanish.mitigations.orthogonal_constraint import OrthogonalConstraint


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


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


@pytest.mark.parametrize(("cell", "layer"), [(cells.DeltaNet, "from_x_rate"), (cells.MLSTM, "from_x_i")])
def test_a_single_number_is_not_normalised_away(cell, layer):
    with pytest.raises(ValueError, match=f"two numbers, got {layer} of {cell.__name__}"):
        LayerNormalisation()(Recurrent(cell, INPUT, HIDDEN, heads=1))
    LayerNormalisation()(Recurrent(cell, INPUT, 2 * HIDDEN, heads=2))


@pytest.mark.parametrize("cure", [LayerNormalisation(), OrthogonalConstraint()])
def test_a_layer_that_is_refused_stays_as_it_was(cure):
    """The first matrix suits, the second does not: of one row, or with more to read than it has rows."""
    kind = cells.DeltaNet if isinstance(cure, LayerNormalisation) else cells.LMU
    layer = Recurrent(kind, INPUT, HIDDEN, **({"heads": 1} if kind is cells.DeltaNet else {"order": HIDDEN + 1}))
    before = {name: weight.clone() for name, weight in layer.state_dict().items()}
    with pytest.raises(ValueError, match=type(cure).__name__):
        cure(layer)
    torch.testing.assert_close(layer.state_dict(), before, rtol=0, atol=0)
