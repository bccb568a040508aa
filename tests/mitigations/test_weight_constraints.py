"""Cures that hold singular values, or the length of weights: each against an oracle of its own, and after some training."""

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, TORCH, sequences, train_a_little
from torch import nn
from torch.nn.utils import parametrizations

from rnnvanish import Recurrent, cells
from rnnvanish.mitigations import RMSNormalisation, SingularValueBand, SingularValuePenalty, SpectralNorm, WeightNorm


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def gates(layer):
    return layer.cells[0].from_h.weight.detach().split(HIDDEN)


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_spectral_norm_stays_one(kind):
    layer = train_a_little(SpectralNorm()(TORCH[kind][1]().float()), steps=4)
    for u in gates(layer):
        assert torch.linalg.svdvals(u)[0].item() == pytest.approx(1, abs=1e-6)
        assert torch.linalg.svdvals(u)[-1] < 0.9


def test_spectral_norm_is_torchs_after_many_power_iterations():
    """Of one gate; with its gradient."""
    theirs = nn.RNN(INPUT, HIDDEN).double()
    ours = SpectralNorm()(theirs)
    linear = nn.Linear(HIDDEN, HIDDEN, bias=False).double()
    linear.weight.data.copy_(theirs.weight_hh_l0.data)
    parametrizations.spectral_norm(linear, n_power_iterations=500)
    aim = torch.randn(HIDDEN, HIDDEN).double()
    (linear.weight * aim).sum().backward()
    u = ours.cells[0].from_h
    (u.weight * aim).sum().backward()
    torch.testing.assert_close(u.weight, linear.weight, rtol=1e-9, atol=1e-12)
    original, expected = (each.parametrizations.weight.original.grad for each in (u, linear))
    torch.testing.assert_close(original, expected, rtol=1e-8, atol=1e-10)


def test_a_matrix_of_zeros_has_no_norm_and_stays_zero():
    layer = nn.RNN(INPUT, HIDDEN)
    layer.weight_hh_l0.data.zero_()
    assert not SpectralNorm()(layer).cells[0].from_h.weight.any()


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_singular_values_stay_in_the_band(kind):
    layer = train_a_little(SingularValueBand(0.05)(TORCH[kind][1]().float()), steps=4)
    p = layer.cells[0].from_h.parametrizations.weight.original0
    p.data.add_(3 * torch.randn_like(p))
    for u in gates(layer):
        s = torch.linalg.svdvals(u)
        assert 0.95 - 1e-5 <= s[-1] < 0.99
        assert 1.01 < s[0] <= 1.05 + 1e-5


def test_the_band_is_the_papers_formula():
    """s = 2 m (σ(p) − 0.5) + 1 between two orthogonal matrices, which turn when they are learnt."""
    linear = SingularValueBand(0.3)(nn.GRU(INPUT, HIDDEN).double()).cells[0].from_h
    inner = linear.parametrizations.weight[0]
    p, a, b = (getattr(linear.parametrizations.weight, f"original{place}") for place in range(3))
    for each in (p, a, b):
        nn.init.normal_(each)
    for gate, u in enumerate(linear.weight.detach().split(HIDDEN)):
        left, right = (
            base[gate] @ torch.matrix_exp(x[gate] - x[gate].T) for base, x in ((inner.left, a), (inner.right, b))
        )
        torch.testing.assert_close(left.T @ left, torch.eye(HIDDEN).double(), rtol=0, atol=1e-10)
        torch.testing.assert_close(left.T @ u @ right, torch.diag(2 * 0.3 * (torch.sigmoid(p[gate]) - 0.5) + 1))


def test_the_band_starts_where_it_can():
    """A matrix within is left as it is; of another the orthogonal factor, which its SVD gives, is nearest with all at 1."""
    theirs = nn.LSTM(INPUT, HIDDEN).double()
    within = nn.init.orthogonal_(torch.empty(HIDDEN, HIDDEN).double()) * (1 + 0.08 * torch.rand(HIDDEN).double())
    for gate in theirs.weight_hh_l0.detach().split(HIDDEN)[:3]:
        gate.copy_(within)
    start = theirs.weight_hh_l0.detach().clone()
    found = gates(SingularValueBand(0.1)(theirs))
    for gate in found[:3]:
        torch.testing.assert_close(gate, within, rtol=1e-9, atol=1e-9)
    left, _, right = torch.linalg.svd(start[3 * HIDDEN :])
    torch.testing.assert_close(found[3], left @ right, rtol=1e-9, atol=1e-9)


def test_a_singular_value_outside_of_the_band_costs_its_distance_squared():
    """By the eigenvalues of UᵀU, gate by gate; what lies in the band costs nothing; the margin of 0 is the authors'."""
    layer = nn.GRU(INPUT, HIDDEN, num_layers=2).double()
    for margin in (0.0, 0.2):
        expected = 0.0
        for weight in (layer.weight_hh_l0, layer.weight_hh_l1):
            for u in weight.detach().split(HIDDEN):
                for eigenvalue in torch.linalg.eigvalsh(u.T @ u):
                    s = max(eigenvalue.item(), 0.0) ** 0.5
                    expected += max(1 - margin - s, s - 1 - margin, 0.0) ** 2
        found = SingularValuePenalty(margin, 3.0).penalty(layer, None, torch.sum)
        assert found.item() == pytest.approx(3 * expected, rel=1e-6)


@pytest.mark.parametrize("gain", [0.5, 1.5])
def test_the_penalty_brings_singular_values_into_the_band(gain):
    layer = nn.RNN(INPUT, HIDDEN).double()
    layer.weight_hh_l0.data.copy_(gain * nn.init.orthogonal_(torch.empty(HIDDEN, HIDDEN).double()))
    rule, cure = torch.optim.SGD([layer.weight_hh_l0], lr=0.2), SingularValuePenalty(0.1)
    for _ in range(40):
        rule.zero_grad()
        cure.penalty(layer, None, torch.sum).backward()
        rule.step()
    s = torch.linalg.svdvals(layer.weight_hh_l0.detach())
    assert (s - 1).abs().max().item() == pytest.approx(0.1, abs=1e-3)
    assert cure.penalty(layer, None, torch.sum) < 1e-6
    with pytest.raises(ValueError, match="margin >= 0, got -1"):
        SingularValuePenalty(-1)
    with pytest.raises(ValueError, match="goes through a linear layer, which Linear has not"):
        cure.penalty(nn.Linear(2, 2), None, torch.sum)


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_weight_norm_holds_the_length_of_each_row(kind):
    """The run is torch's own over g v / ‖v‖; at first that is the plain layer."""
    theirs, x = TORCH[kind][1](), sequences()
    layer = WeightNorm()(theirs)
    torch.testing.assert_close(layer(x)[0], theirs(x)[0], rtol=1e-10, atol=1e-12)
    layer = train_a_little(layer.float(), steps=4).double()
    for linear, name in ((layer.cells[0].from_x, "weight_ih_l0"), (layer.cells[0].from_h, "weight_hh_l0")):
        g, v = (linear.parametrizations.weight.original0.detach(), linear.parametrizations.weight.original1.detach())
        rows = [g[i] * v[i] / sum(number**2 for number in v[i]) ** 0.5 for i in range(len(v))]
        getattr(theirs, name).data.copy_(torch.stack(rows))
        v.mul_(7.0)
    for name in ("bias_ih_l0", "bias_hh_l0"):
        getattr(theirs, name).data.copy_(getattr(layer, name).data)
    torch.testing.assert_close(layer(x)[0], theirs(x)[0], rtol=1e-9, atol=1e-10)


def test_rms_normalisation_step_by_step():
    """Every number normalised by hand; after training the size of a weight still does not matter."""
    theirs, x = nn.LSTM(INPUT, HIDDEN).double(), sequences()
    ours = RMSNormalisation()(theirs)
    linears = ours.cells[0].from_x, ours.cells[0].from_h
    for linear in linears:
        nn.init.normal_(linear.gain)

    def normalised(linear, v):
        product = v @ linear.weight.T
        size = torch.tensor([sum(number**2 for number in row).item() / len(row) + 1e-5 for row in product]) ** 0.5
        return linear.gain * product / size[:, None].double() + linear.bias

    h = c = torch.zeros(BATCH, HIDDEN).double()
    for now in x:
        i, f, g, o = (normalised(linears[0], now) + normalised(linears[1], h)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    torch.testing.assert_close(ours(x)[1], (h[None], c[None]), rtol=1e-6, atol=1e-6)
    layer = train_a_little(RMSNormalisation()(nn.GRU(INPUT, HIDDEN, bias=False)), steps=4).double()
    before = layer(x)[0]
    for linear in (layer.cells[0].from_x, layer.cells[0].from_h):
        linear.weight.data.mul_(1e3)
    torch.testing.assert_close(layer(x)[0], before, rtol=1e-2, atol=1e-3)  # up to the little number in the root


@pytest.mark.parametrize(
    ("cure", "kind", "options", "said"),
    [
        (SingularValueBand(), cells.LMU, {"order": HIDDEN + 1}, "as many units as they read"),
        (SpectralNorm(), cells.IndRNN, {}, "whose state goes through a linear layer, got IndRNN"),
        (RMSNormalisation(), cells.DeltaNet, {"heads": 1}, "two numbers, got from_x_rate of DeltaNet"),
        (WeightNorm(), cells.MLSTM, {"heads": 1}, "a row of zeros in from_x_i of MLSTM"),
    ],
)
def test_a_layer_that_is_refused_stays_as_it_was(cure, kind, options, said):
    layer = Recurrent(kind, INPUT, HIDDEN, **options)
    before = {name: weight.clone() for name, weight in layer.state_dict().items()}
    with pytest.raises(ValueError, match=said):
        cure(layer)
    torch.testing.assert_close(layer.state_dict(), before, rtol=0, atol=0)
    for twice in (SpectralNorm(), SingularValueBand()):
        with pytest.raises(ValueError, match=f"{type(twice).__name__} needs a recurrent matrix without a constraint"):
            twice(SpectralNorm()(nn.RNN(INPUT, HIDDEN)))
    with pytest.raises(ValueError, match="margin between 0 and 1, got 0"):
        SingularValueBand(0)
