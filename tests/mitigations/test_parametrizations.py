"""Constraints on a weight of a module that stays what it is: held after training, copied, saved, resumed, and taken away again."""

import copy
import io

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, sequences
from torch import nn
from torch.nn.utils import parametrize

from rnnvanish import Recurrent, cells, probes
from rnnvanish.mitigation import Build
from rnnvanish.mitigation.constraint import Constraint
from rnnvanish.mitigations import ALL, OrthogonalConstraint, SingularValueBand, SpectralNorm, WeightNorm

LAYERS = {"LSTM": (nn.LSTM, 4), "GRU": (nn.GRU, 3), "RNN": (nn.RNN, 1)}
MARGIN = 0.05
CURES = [OrthogonalConstraint(), SingularValueBand(MARGIN), SpectralNorm(), WeightNorm()]
every_cure = pytest.mark.parametrize("cure", CURES, ids=lambda cure: type(cure).__name__)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def lengths_of(matrix):
    """What it does to 512 unit vectors: the shortest and the longest that comes out, without a decomposition."""
    v = torch.randn(matrix.shape[1], 512, dtype=matrix.dtype)
    out = (matrix @ (v / v.norm(dim=0))).norm(dim=0)
    return out.min().item(), out.max().item()


def held(cure, module, weight):
    """By the meaning of each: what the matrices of the gates do to vectors; of weight norm what the rows are."""
    gates = weight.detach().split(HIDDEN)
    for shortest, longest in map(lengths_of, gates):
        if isinstance(cure, OrthogonalConstraint):
            assert shortest == pytest.approx(1, abs=1e-5)
            assert longest == pytest.approx(1, abs=1e-5)
        elif isinstance(cure, SingularValueBand):
            assert shortest >= 1 - MARGIN - 1e-5
            assert longest <= 1 + MARGIN + 1e-5
        elif isinstance(cure, SpectralNorm):
            assert longest <= 1 + 1e-5
            assert shortest < 0.8
    if isinstance(cure, SpectralNorm):  # and the bound is reached: by power iteration
        for u in gates:
            v = torch.randn(HIDDEN, dtype=u.dtype)
            for _ in range(300):
                v = u.T @ (u @ v)
                v = v / v.norm()
            assert (u @ v).norm().item() == pytest.approx(1, abs=1e-4)
    if isinstance(cure, WeightNorm):
        lengths = module.parametrizations["weight_hh_l0"].original0
        torch.testing.assert_close(weight.square().sum(1).sqrt(), lengths[:, 0], rtol=1e-5, atol=1e-6)


def train(module, rule, steps, x, target):
    for _ in range(steps):
        rule.zero_grad()
        (module(x)[0][-1] - target).square().mean().backward()
        rule.step()


def test_every_constraint_is_here():
    """A build that registers a parametrization, but for weight drop, which holds nothing."""
    assert {type(cure) for cure in CURES} == {each for each in ALL.values() if issubclass(each, Constraint)}
    assert issubclass(Constraint, Build)


@every_cure
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_of_torch_is_held_saved_copied_resumed_and_set_free(cure, kind):
    make, gates = LAYERS[kind]
    layer = make(INPUT, HIDDEN, num_layers=2)
    assert cure.parametrize(layer, "weight_hh_l0") is layer
    assert isinstance(layer, make)
    assert layer.weight_hh_l0.shape == (gates * HIDDEN, HIDDEN)
    x, target = torch.randn(9, BATCH, INPUT), torch.randn(BATCH, HIDDEN)
    rule = torch.optim.Adam(layer.parameters(), lr=0.05)
    before = layer.weight_hh_l0.detach().clone()
    train(layer, rule, 4, x, target)
    assert (layer.weight_hh_l0 - before).abs().max() > 0.02
    held(cure, layer, layer.weight_hh_l0)

    twin = copy.deepcopy(layer)  # torch refuses to copy a layer that has run with a computed weight
    file = io.BytesIO()
    torch.save([layer.state_dict(), rule.state_dict()], file)
    file.seek(0)
    again = cure.parametrize(make(INPUT, HIDDEN, num_layers=2), "weight_hh_l0")
    again_rule = torch.optim.Adam(again.parameters(), lr=0.05)
    for each, state in zip((again, again_rule), torch.load(file, weights_only=True), strict=True):
        each.load_state_dict(state)
    train(layer, rule, 2, x, target)
    train(again, again_rule, 2, x, target)
    assert not torch.equal(layer(x)[0], twin(x)[0])
    torch.testing.assert_close(layer(x)[0], again(x)[0], rtol=1e-5, atol=1e-6)

    twin, trained, weight = copy.deepcopy(layer), layer(x)[0].detach(), layer.weight_hh_l0.detach().clone()
    assert cure.release(twin, "weight_hh_l0") is twin
    assert twin.weight_hh_l0.grad is None
    assert not twin._forward_hooks
    held(cure, layer, layer.weight_hh_l0)  # torch's own removal breaks what the copy was made of
    parametrize.remove_parametrizations(layer, "weight_hh_l0").zero_grad()
    for free in (twin, layer):
        assert type(free) is make
        assert set(free.state_dict()) == set(make(INPUT, HIDDEN, num_layers=2).state_dict())
        torch.testing.assert_close(free(x)[0], trained, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(free.weight_hh_l0.detach(), weight, rtol=1e-6, atol=1e-7)
        plain = make(INPUT, HIDDEN, num_layers=2)
        plain.load_state_dict(free.state_dict())
        torch.testing.assert_close(plain(x)[0], trained, rtol=1e-5, atol=1e-6)
        train(free, torch.optim.SGD(free.parameters(), lr=1.0), 6, x, target)
        assert (free.weight_hh_l0 - weight).abs().max() > 0.01
        assert (free(x)[0] - trained).abs().max() > 0.01
        copy.deepcopy(free)


@every_cure
def test_gradients_are_those_of_the_plain_layer_through_the_constraint(cure):
    """dL/d(what is learnt): the plain layer's dL/dU, then the derivative of U alone, both by torch."""
    layer, x = cure.parametrize(nn.GRU(INPUT, HIDDEN).double()), sequences()
    plain = nn.GRU(INPUT, HIDDEN).double()
    plain.load_state_dict({name: getattr(layer, name).detach() for name in plain.state_dict()})
    free = [each for name, each in layer.named_parameters() if name.startswith("parametrizations")]
    found = torch.autograd.grad(layer(x)[0].square().sum(), free)
    (of_weight,) = torch.autograd.grad(plain(x)[0].square().sum(), [plain.weight_hh_l0])
    expected = torch.autograd.grad(layer.weight_hh_l0, free, of_weight)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
    assert any(each.any() for each in found)


@every_cure
def test_the_weight_of_a_cell_and_of_a_linear_layer(cure):
    step, x = cure.parametrize(nn.LSTMCell(INPUT, HIDDEN), "weight_hh"), torch.randn(BATCH, INPUT)
    state = None
    with parametrize.cached():
        for _ in range(3):
            state = step(x, state)
    state[0].sum().backward()
    for u in step.weight_hh.detach().split(HIDDEN):
        assert lengths_of(u)[1] < 1.06 or isinstance(cure, WeightNorm)
    cure.release(step, "weight_hh")
    step(x)[0].sum().backward()
    assert step.weight_hh.grad is not None
    linear = cure.parametrize(nn.Linear(HIDDEN, HIDDEN), "weight")
    assert linear(torch.randn(2, HIDDEN)).shape == (2, HIDDEN)


@every_cure
def test_it_is_the_same_as_the_layer_that_takes_the_place_of_torchs(cure):
    theirs, x = nn.LSTM(INPUT, HIDDEN).double(), sequences()
    ours = cure(copy.deepcopy(theirs))
    for name in ["weight_hh_l0"] + ["weight_ih_l0"] * isinstance(cure, WeightNorm):
        cure.parametrize(theirs, name)
    torch.testing.assert_close(theirs(x)[0], ours(x)[0], rtol=1e-10, atol=1e-12)
    (mine,), (same,) = probes.retention(theirs, x).values(), probes.retention(ours, x).values()
    torch.testing.assert_close(mine.gain, same.gain, rtol=1e-8, atol=1e-12)


@every_cure
def test_a_layer_of_ours_is_set_free_too(cure):
    layer, x = cure(Recurrent(cells.GRU, INPUT, HIDDEN)), torch.randn(9, BATCH, INPUT)
    train(layer, torch.optim.Adam(layer.parameters(), lr=0.05), 2, x, torch.randn(BATCH, HIDDEN))
    before = layer(x)[0]
    for linear in (layer.cells[0].from_h, layer.cells[0].from_x):
        if parametrize.is_parametrized(linear):
            cure.release(linear, "weight")
    torch.testing.assert_close(layer(x)[0], before, rtol=1e-5, atol=1e-6)
    assert len([*layer.parameters()]) == 4
    plain = nn.GRU(INPUT, HIDDEN)
    plain.load_state_dict({name: getattr(layer, name) for name in plain.state_dict()})
    torch.testing.assert_close(plain(x)[0], before, rtol=1e-5, atol=1e-6)


def test_a_layer_of_torch_reads_its_weight_four_times_a_run(monkeypatch):
    """As the docstring says; what it holds in between are no weights of the last run."""
    layer, calls = OrthogonalConstraint().parametrize(nn.RNN(INPUT, HIDDEN)), []
    matrix_exp = torch.linalg.matrix_exp
    monkeypatch.setattr(torch, "matrix_exp", lambda a: calls.append(1) or matrix_exp(a))
    monkeypatch.setattr(torch.linalg, "matrix_exp", torch.matrix_exp)
    layer(torch.randn(9, 2, INPUT))
    assert len(calls) == 4
    with parametrize.cached():
        layer(torch.randn(9, 2, INPUT))
    assert len(calls) == 5


@pytest.mark.parametrize(
    ("cure", "module", "name", "gates", "said"),
    [
        (SpectralNorm(), nn.LSTM(2, 4), "weight_hh", None, r"got 'weight_hh'.*weight_hh_l0"),
        (SpectralNorm(), nn.LSTM(2, 4), "bias_hh_l0", None, "a matrix that is a parameter of LSTM"),
        (SpectralNorm(), nn.LSTM(2, 4), "weight_hh_l0", 3, "16 rows for 3 gates"),
        (OrthogonalConstraint(), nn.LSTM(8, 4), "weight_ih_l0", None, "got LSTM with 4 x 8"),
        (SingularValueBand(), nn.LSTM(2, 8, proj_size=4), "weight_hh_l0", None, "got LSTM with 8 x 4"),
        (WeightNorm(), nn.utils.skip_init(nn.Linear, 2, 2), "weight", None, "a row of zeros in Linear"),
    ],
)
def test_what_can_not_be_held_is_refused_and_stays_as_it_was(cure, module, name, gates, said):
    if isinstance(cure, WeightNorm):
        nn.init.zeros_(module.weight)
    with pytest.raises(ValueError, match=said):
        cure.parametrize(module, name, gates)
    assert not parametrize.is_parametrized(module)
    twice = SpectralNorm().parametrize(nn.GRU(2, 3))
    with pytest.raises(ValueError, match="without a constraint: weight_hh_l0 of ParametrizedGRU has one"):
        cure.parametrize(twice)
    with pytest.raises(ValueError, match="a constraint to take away: weight_hh_l0 of GRU has none"):
        cure.release(cure.release(twice))
