"""Draws: each against its closed form, and against what torch's own kernels then do."""

import math

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, probes
from rnnvanish.live import live_cells
from rnnvanish.mitigations import (
    Chrono,
    Critical,
    Glorot,
    He,
    Identity,
    NpRNN,
    OpenGate,
    OrthogonalStart,
    RotationStart,
    SparseStart,
    UniformGate,
)
from rnnvanish.mitigations.critical import critical_gain
from rnnvanish.numerics.norms import gain_for_slope

#: A module of torch and the same of this package, for each kind of layer.
LAYERS = {
    "torch RNN": lambda size, hidden: nn.RNN(size, hidden),
    "torch LSTM": lambda size, hidden: nn.LSTM(size, hidden),
    "torch GRU": lambda size, hidden: nn.GRU(size, hidden),
    "Elman": lambda size, hidden: Recurrent(cells.Elman, size, hidden),
    "LSTM": lambda size, hidden: Recurrent(cells.LSTM, size, hidden),
    "GRU": lambda size, hidden: Recurrent(cells.GRU, size, hidden),
}
GATED = [name for name in LAYERS if name.endswith(("LSTM", "GRU"))]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def blocks(module, weight):
    """A weight of the only loop, cut into its gates by hand; in torch's modules and here these are rows."""
    name = {"h": ("weight_hh_l0", "cells.0.from_h.weight"), "x": ("weight_ih_l0", "cells.0.from_x.weight")}[weight]
    matrix = module.get_parameter(name[isinstance(module, Recurrent)]).detach()
    hidden = module.hidden_size
    return [matrix[first : first + hidden] for first in range(0, len(matrix), hidden)]


def distance(sample, distribution):
    """Largest difference between the distribution of a sample and the one claimed (Kolmogorov and Smirnov)."""
    ordered = sample.double().sort().values
    ranks = torch.arange(len(ordered) + 1).double() / len(ordered)
    claimed = distribution(ordered)
    return max((claimed - ranks[:-1]).abs().max().item(), (claimed - ranks[1:]).abs().max().item())


def kept_and_written(module):
    """What the gates of `module` keep of a state of one, and what they write into an empty one, unit by unit.

    All weights are zero and no input is read, so that torch's own kernel shows its biases.
    """
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "weight" in name:
                weight.zero_()
    (cell,) = live_cells(module)
    x, one, none = torch.zeros(1, 1, 1), torch.ones(1, 1, module.hidden_size), torch.zeros(1, 1, module.hidden_size)
    candidate = slice(2 * module.hidden_size, 3 * module.hidden_size)
    with torch.no_grad():
        cell.from_x.bias[candidate], cell.from_h.bias[candidate] = 0.0, 0.0
        if isinstance(cell, cells.GRU):
            return module(x, one)[1].flatten(), None  # (1 - z) n + z h, with n = tanh(0)
        kept = module(x, (none, one))[1][1].flatten()
        cell.from_x.bias[candidate] = 40.0  # tanh of it is one
        return kept, module(x, (none, none))[1][1].flatten()


def no_other_weight_changed(module, before, changed):
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items() if changed not in name)


@pytest.mark.parametrize("name", GATED)
@pytest.mark.parametrize("bias", [3.0, -1.0])
def test_open_gate(name, bias):
    """Both biases together are the one asked for: torch's kernel keeps sigmoid(bias)."""
    module = LAYERS[name](1, 6)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    assert OpenGate(bias)(module) is module
    assert no_other_weight_changed(module, before, "bias")
    for side in ("ih", "hh") if name.startswith("torch") else ():
        rest = torch.arange(module.get_parameter(f"bias_{side}_l0").numel()) // 6 != 1
        assert torch.equal(module.get_parameter(f"bias_{side}_l0")[rest], before[f"bias_{side}_l0"][rest])
    torch.testing.assert_close(kept_and_written(module)[0], torch.full((6,), 1 / (1 + math.exp(-bias))))


@pytest.mark.parametrize("name", GATED)
def test_chrono(name):
    """Memories 1 / (1 - f) of torch's kernel are uniform from 2 to the span, and what is written is the rest."""
    span, hidden = 50, 600
    kept, written = kept_and_written(Chrono(span)(LAYERS[name](1, hidden)))
    memory = 1 / (1 - kept.double())
    assert 2 <= memory.min() < 2.5
    assert span - 0.5 < memory.max() <= span * (1 + 1e-4)
    assert distance(memory, lambda steps: (steps - 2) / (span - 2)) < 1.63 / hidden**0.5
    assert (written is None) == name.endswith("GRU")
    if written is not None:
        torch.testing.assert_close(written, 1 - kept, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", GATED)
def test_uniform_gate(name):
    hidden = 600
    kept, written = kept_and_written(UniformGate()(LAYERS[name](1, hidden)))
    assert 1 / hidden - 1e-6 <= kept.min() < 0.01
    assert 0.99 < kept.max() <= 1 - 1 / hidden + 1e-6
    assert distance(kept, lambda gate: (gate - 1 / hidden) / (1 - 2 / hidden)) < 1.63 / hidden**0.5
    if written is not None:
        torch.testing.assert_close(written, 1 - kept, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_glorot(name, distribution):
    size, hidden = 40, 120
    module = Glorot(distribution)(LAYERS[name](size, hidden))
    for weight, inputs in (("x", size), ("h", hidden)):
        variance = 2 / (inputs + hidden)
        for block in blocks(module, weight):
            count = block.numel()
            spread = (0.8 if distribution == "uniform" else 2.0) ** 0.5  # of squares about their mean
            assert abs(block.mean()) < 4 * (variance / count) ** 0.5
            assert block.square().mean().item() == pytest.approx(variance, rel=4 * spread / count**0.5)
            assert (block.abs().max() <= (3 * variance) ** 0.5 * (1 + 1e-6)) == (distribution == "uniform")


@pytest.mark.parametrize(("nonlinearity", "slope"), [("relu", 0.0), ("leaky_relu", 0.01), ("prelu", 0.25)])
def test_he(nonlinearity, slope):
    size, hidden = 200, 400
    modules = [Recurrent(cells.Elman, size, hidden, nonlinearity=nonlinearity)]
    if nonlinearity == "relu":
        modules.append(nn.RNN(size, hidden, nonlinearity="relu"))
    for module in modules:
        He()(module)
        for weight, inputs in (("x", size), ("h", hidden)):
            (block,) = blocks(module, weight)
            variance = 2 / ((1 + slope**2) * inputs)
            tolerance = 4 * (2 / block.numel()) ** 0.5
            assert abs(block.mean()) < 4 * (variance / block.numel()) ** 0.5
            assert block.square().mean().item() == pytest.approx(variance, rel=tolerance)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_orthogonal_start(name, gain):
    module = LAYERS[name](3, 12)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    OrthogonalStart(gain)(module)
    gates = blocks(module, "h")
    for gate in gates:
        torch.testing.assert_close(gate.T @ gate, gain**2 * torch.eye(12), rtol=0, atol=2e-6)
    assert all(not torch.allclose(gates[0], other) for other in gates[1:])
    assert no_other_weight_changed(module, before, "weight_hh" if name.startswith("torch") else "from_h.weight")


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("angles", "least", "most"), [("henaff", -math.pi, math.pi), ("cayley", 0.0, math.pi / 2)])
def test_rotation_start(name, angles, least, most):
    """As a complex number a pair is multiplied by exp(−iθ), and θ is uniform; the odd unit is left alone."""
    hidden = 201
    module = RotationStart(angles)(LAYERS[name](2, hidden).double())
    for block in blocks(module, "h"):
        pairs = block[:-1, :-1].reshape(100, 2, 100, 2)
        assert not pairs.permute(0, 2, 1, 3)[~torch.eye(100, dtype=torch.bool)].any()
        assert block[-1, -1] == 1
        assert block[-1].count_nonzero() == block[:, -1].count_nonzero() == 1
        own = pairs.permute(0, 2, 1, 3)[torch.eye(100, dtype=torch.bool)]
        number = torch.view_as_complex(torch.stack([own[:, 0, 0], own[:, 1, 0]], -1).contiguous())
        torch.testing.assert_close(own[:, 1, 1], number.real)
        torch.testing.assert_close(own[:, 0, 1], -number.imag)
        torch.testing.assert_close(number.abs(), torch.ones(100).double())
        assert distance(-number.angle(), lambda angle: (angle - least) / (most - least)) < 1.63 / 100**0.5


@pytest.mark.parametrize(
    ("cell", "bound"), [(cells.ExpRNN, "henaff"), (cells.ScoRNN, "cayley"), (cells.ScoRNN, "henaff")]
)
def test_rotation_start_of_an_antisymmetric_matrix(cell, bound):
    """What the cell itself makes of it, step by step and without input, is a rotation by the same angles as in a plain one."""
    layer = Recurrent(cell, 2, 6).double()
    torch.manual_seed(1)
    RotationStart(bound)(layer)
    plain = nn.RNN(2, 6).double()
    torch.manual_seed(1)
    RotationStart(bound)(plain)
    h = torch.rand(1, 3, 6).double()
    with torch.no_grad():
        layer.cells[0].bias.zero_()
        after = layer(torch.zeros(1, 3, 2).double(), h)[1]
    torch.testing.assert_close(after, h @ plain.weight_hh_l0, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match=f"The matrix of {cell.__name__} is orthogonal"):
        RotationStart(radius=0.9)(layer)


@pytest.mark.parametrize("name", LAYERS)
def test_sparse_start(name):
    """Each row has its numbers, all columns are met, and they are normal until they are scaled to the radius."""
    for connections, hidden in ((15, 60), (15, 8)):
        module = SparseStart(connections, radius=None)(LAYERS[name](2, hidden))
        for block in blocks(module, "h"):
            assert (block != 0).sum(1).tolist() == [min(connections, hidden)] * hidden
            assert (block != 0).any(0).sum() > 0.8 * hidden
            values = block[block != 0]
            assert distance(values, torch.special.ndtr) < 2.2 / len(values) ** 0.5
        for radius in (1.1, 0.7):
            for block in blocks(SparseStart(connections, radius=radius)(module), "h"):
                assert torch.linalg.eigvals(block).abs().max().item() == pytest.approx(radius, rel=1e-4)
                assert (block != 0).sum(1).tolist() == [min(connections, hidden)] * hidden


RADIUS = [Glorot(radius=0.8), OrthogonalStart(radius=0.8), SparseStart(radius=0.8), RotationStart(radius=0.8)]


@pytest.mark.parametrize("draw", [*RADIUS, He(radius=0.8), NpRNN(radius=0.8)], ids=repr)
def test_a_radius_is_that_of_each_gate(draw):
    """By what a long product does: ‖Uᵏ‖ goes as 0.8ᵏ."""
    for name in ("RNN relu",) if draw not in RADIUS else LAYERS:
        module = nn.RNN(2, 20, nonlinearity="relu") if name == "RNN relu" else LAYERS[name](2, 20)
        before = {key: value.clone() for key, value in module.state_dict().items()}
        draw(module.double())
        for block in blocks(module, "h"):
            power, log = block, 0.0  # of U to the power 2 ** 14, by squaring
            for _ in range(14):
                power, log = power @ power, 2 * log
                log += math.log(power.norm())
                power = power / power.norm()
            assert log / 2**14 == pytest.approx(math.log(0.8), abs=0.001)
        if not isinstance(draw, Glorot | He):
            assert no_other_weight_changed(
                module.float(), before, "weight_hh" if isinstance(module, nn.RNNBase) else "from_h.weight"
            )


@pytest.mark.parametrize(
    ("nonlinearity", "gain"),
    [("relu", 2**0.5), ("leaky_relu", (2 / (1 + 0.01**2)) ** 0.5), ("prelu", (2 / (1 + 0.25**2)) ** 0.5)],
)
def test_slope_gain_of_a_rectifier_is_torchs(nonlinearity, gain):
    cell = cells.Elman(2, 3, nonlinearity=nonlinearity)
    assert gain_for_slope(cell.nonlinearity) == pytest.approx(gain, rel=1e-5)
    slope = {"relu": None, "leaky_relu": 0.01, "prelu": 0.25}[nonlinearity]
    theirs = nn.init.calculate_gain("relu" if slope is None else "leaky_relu", slope)
    assert gain == pytest.approx(theirs)


def test_slope_gain_keeps_the_gradient_of_one_step():
    """Of a wide network whose units sum up standard normal numbers: for tanh and sigmoid, too."""
    for nonlinearity, slope in (
        ("tanh", lambda z: 1 - z.tanh() ** 2),
        ("sigmoid", lambda z: z.sigmoid() * (1 - z.sigmoid())),
    ):
        layer = Recurrent(cells.Elman, 2, 800, nonlinearity=nonlinearity)
        OrthogonalStart(slope_gain=True)(layer)
        (u,) = blocks(layer, "h")
        kept = (u.T @ (slope(torch.randn(800, 200)) * torch.randn(800, 200))).square().sum() / 800 / 200
        assert kept.item() == pytest.approx(1, abs=0.02)
    with pytest.raises(ValueError, match="one activation without gates, got LSTM"):
        OrthogonalStart(slope_gain=True)(nn.LSTM(2, 3))


def test_what_scales_is_written_where_it_is_not_the_default():
    assert repr(OrthogonalStart()) == "OrthogonalStart(gain=1.0)"
    assert repr(OrthogonalStart(0.5, radius=0.9)) == "OrthogonalStart(gain=0.5, radius=0.9)"
    assert eval(repr(SparseStart(3, radius=None, slope_gain=True))) == SparseStart(3, radius=None, slope_gain=True)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_identity(scale):
    """Torch's own ReLU kernel hands a state on: 20 steps without input leave scale ** 20 of it, to the last bit."""
    module = Identity(scale)(nn.RNN(2, 7, nonlinearity="relu"))
    state = torch.rand(1, 1, 7)
    assert torch.equal(module(torch.zeros(20, 1, 2), state)[1], scale**20 * state)
    layer = Identity(scale)(Recurrent(cells.Elman, 2, 7, nonlinearity="leaky_relu"))
    assert torch.equal(layer(torch.zeros(20, 1, 2), state)[1], scale**20 * state)


def test_identity_leaves_input_weights_or_draws_them_as_wide_as_is_said():
    layer = nn.RNN(40, 50, nonlinearity="relu")
    before = layer.weight_ih_l0.detach().clone()
    assert torch.equal(Identity()(layer).weight_ih_l0, before)
    drawn = Identity(input_std=1e-3)(layer).weight_ih_l0
    assert drawn.std().item() == pytest.approx(1e-3, rel=0.1)
    assert drawn.mean().item() == pytest.approx(0, abs=1e-4)


def test_np_rnn():
    """Its largest eigenvalue is 1. That of A is 4 and their mean 1 in the limit (Marchenko and Pastur): 1/5 to 1 are left."""
    for module in (nn.RNN(2, 300, nonlinearity="relu"), Recurrent(cells.Elman, 2, 300, nonlinearity="relu")):
        (matrix,) = blocks(NpRNN()(module.double()), "h")
        assert torch.equal(matrix, matrix.T)
        eigenvalues = torch.linalg.eigvals(matrix).real.sort().values
        assert eigenvalues[-1].item() == pytest.approx(1, abs=1e-12)
        assert eigenvalues[-2] < 1
        assert eigenvalues[0].item() == pytest.approx(1 / 5, abs=0.02)
        assert eigenvalues.mean().item() == pytest.approx(2 / 5, abs=0.02)


@pytest.mark.parametrize("size", [2, 30])
def test_critical(size):
    """A wide network's measured gain is 1 a step; without the draw, and for input that it was not drawn for, it is not."""
    x = torch.randn(50, 4, size).double()

    def kept(module, x=x):
        (curve,) = probes.retention(module, x).values()
        return math.exp(curve.rate)

    for build in (LAYERS["torch RNN"], LAYERS["Elman"]):
        module = build(size, 256).double()
        assert kept(module) < 0.7
        assert kept(Critical()(module)) == pytest.approx(1, abs=0.015)
    assert kept(module, 10 * x) < 0.9
    assert kept(Critical(power=100.0)(module), 10 * x) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("drive", [0.03, 0.5, 4.0])
def test_the_critical_gain_solves_the_mean_field_equations(drive):
    """The fixed point by iteration, the means over a sample: nothing of this is in the solver."""
    z, gain, q = torch.randn(400_000).double(), critical_gain(drive), 1.0
    for _ in range(300):
        q = gain**2 * torch.tanh(math.sqrt(q) * z).square().mean().item() + drive
    slope = 1 / torch.cosh(math.sqrt(q) * z).square()
    assert gain**2 * slope.square().mean().item() == pytest.approx(1, abs=0.01)
    assert critical_gain(0.0) == pytest.approx(1, abs=1e-6)
