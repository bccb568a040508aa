"""Cures that are a part of the loss: the formula written again with loops, its derivative by differences, its effect."""

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, mitigations, probes
from rnnvanish.mitigation import Penalty
from rnnvanish.mitigations import auxiliary_reconstruction
from rnnvanish.mitigations.auxiliary_reconstruction import AuxiliaryReconstruction
from rnnvanish.mitigations.gradient_flossing import GradientFlossing
from rnnvanish.mitigations.gradient_norm_penalty import GradientNormPenalty
from rnnvanish.mitigations.soft_orthogonality import gate_matrices
from rnnvanish.mitigations.truncated_backpropagation import TruncatedBackpropagation
from rnnvanish.mitigations.variational_dropout import VariationalDropout

TIME, BATCH, INPUT, HIDDEN = 6, 3, 2, 4
PENALTIES = {name: cure for name, cure in mitigations.ALL.items() if issubclass(cure, Penalty)}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def end(returned):
    return returned[0][-1].square().sum()


def every_step(returned):
    return returned[0].cos().sum()


def tanh_layer(gain=1.0):
    layer = nn.RNN(INPUT, HIDDEN).double()
    layer.weight_hh_l0.data.mul_(gain)
    return layer


def run_of(layer, x, u):
    """The states of a tanh RNN with the recurrent matrix `u`, and the slopes on the way."""
    h, states, slopes = torch.zeros(BATCH, HIDDEN).double(), [], []
    for now in x:
        h = torch.tanh(now @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h @ u.T + layer.bias_hh_l0)
        states.append(h)
        slopes.append(1 - h.square())
    return states, slopes


def by_differences(value, weight, h=1e-6):
    """The derivative of `value()` with respect to every entry of `weight`."""
    slope = torch.zeros_like(weight)
    with torch.no_grad():
        for i in range(weight.numel()):
            entry = weight.view(-1)[i : i + 1]
            old = entry.clone()
            up, down = (float(value(entry.copy_(old + step))) for step in (h, -h))
            entry.copy_(old)
            slope.view(-1)[i] = (up - down) / (2 * h)
    return slope


# Every penalty.


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_works_wherever_a_layer_works(name, kind):
    """Layers, directions, lengths, inside of a model; a finite gradient for the recurrent weights, nothing changed."""
    cure = GradientFlossing(count=2) if name == "GradientFlossing" else PENALTIES[name]()
    layer = getattr(nn, kind)(INPUT, HIDDEN, num_layers=2, bidirectional=True)
    x = torch.randn(TIME + 10, BATCH, INPUT)
    for model, inputs in (
        (layer, x),
        (layer, nn.utils.rnn.pack_padded_sequence(x, torch.tensor([16, 12, 14]), enforce_sorted=False)),
        (Recurrent.from_torch(layer), (x, None, torch.tensor([16, 12, 14]))),
        (VariationalDropout(0.1)(TruncatedBackpropagation(5)(layer)), x),
    ):
        before = {name: weight.clone() for name, weight in model.state_dict().items()}

        def loss(returned):
            output = returned[0]
            return (output.data if isinstance(output, nn.utils.rnn.PackedSequence) else output).square().sum()

        penalty = cure.penalty(model, inputs, loss)
        assert penalty.shape == ()
        assert penalty > 0
        penalty.backward()
        for weight_name, weight in model.named_parameters():
            if "weight_hh" in weight_name or "from_h.weight" in weight_name:
                assert weight.grad.isfinite().all()
                assert weight.grad.any()
        torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
        model.zero_grad()


@pytest.mark.parametrize("name", PENALTIES)
def test_padding_has_no_part_in_it(name):
    """Two sequences of different length in one batch cost the mean of what they cost alone."""
    if name in ("AuxiliaryPrediction", "AuxiliaryReconstruction", "JacobianPenalty"):
        pytest.skip("its read-out is one for the whole batch, or its directions are drawn anew")
    layer = Recurrent(cells.GRU, INPUT, HIDDEN).double()
    x, lengths = torch.randn(9, 2, INPUT).double(), torch.tensor([9, 5])
    penalty = PENALTIES[name]()

    def last(returned):
        return returned[1].square().sum()

    together = penalty.penalty(layer, (x, None, lengths), last)
    alone = [penalty.penalty(layer, x[:length, i : i + 1], last) for i, length in enumerate(lengths)]
    torch.testing.assert_close(together, torch.stack(alone).mean(), rtol=1e-10, atol=0)


#: Of each kind of state one cell: complex, of several axes, with a clock, with a stabiliser that scales others.
STATES = ("LRU", "S4D", "MIST", "DeltaNet", "AttentiveRNN", "ClockworkRNN", "SLSTM", "MLSTM")


@pytest.mark.parametrize("cell", STATES)
@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_takes_a_state_of_any_kind(name, cell):
    kind, options = cells.ALL[cell], {"GradientFlossing": {"count": 2}, "AuxiliaryReconstruction": {"reach": 2}}
    layer, x = Recurrent(kind, INPUT, HIDDEN, **kind.small).double(), torch.randn(TIME, BATCH, INPUT).double()
    cure = PENALTIES[name](**options.get(name, {}))
    if name in ("SoftOrthogonality", "SingularValuePenalty") and not any(map(gate_matrices, layer.cells)):
        with pytest.raises(ValueError, match="needs a cell whose state goes through a linear layer"):
            cure.penalty(layer, x, every_step)
        return
    penalty = cure.penalty(layer, x, every_step)
    penalty.backward()
    given = [weight.grad for weight in layer.parameters() if weight.grad is not None]
    assert penalty > 0
    assert all(gradient.isfinite().all() for gradient in given)
    assert any(gradient.any() for gradient in given)


def test_penalties_of_complex_numbers_that_only_turn_and_shrink_are_known():
    """An LRU of one |λ|: every step back shortens the gradient by it, and every exponent is its logarithm."""
    layer, x = Recurrent(cells.LRU, INPUT, HIDDEN).double(), torch.randn(TIME, BATCH, INPUT).double()
    layer.cells[0].nu.data.fill_(torch.tensor(0.5).double().log())
    flossing = GradientFlossing().penalty(layer, x, end)
    torch.testing.assert_close(flossing, torch.tensor(0.25).double(), rtol=1e-10, atol=0)
    omega = GradientNormPenalty().penalty(layer, x, end)
    expected = (TIME - 1) * (1 - torch.tensor(-0.5).double().exp()).square()
    torch.testing.assert_close(omega, expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize(("cure", "times"), [(AuxiliaryReconstruction(reach=1), 1), (GradientNormPenalty(), 2)])
def test_what_a_sequence_was_before_it_began_anew_costs_nothing(cure, times):
    """Two sequences in one row cost what they cost side by side; a sum over steps is a mean over half as many."""
    layer, x = Recurrent(cells.GRU, INPUT, HIDDEN).double(), torch.randn(2 * TIME, 1, INPUT).double()
    resets = torch.zeros(2 * TIME, 1)
    resets[TIME] = 1

    class Resetting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, resets):
            return self.layer(x, resets=resets)

    def squares(returned):
        return returned[0].square().sum()

    one = cure.penalty(Resetting(), (x, resets), squares)
    beside = cure.penalty(layer, torch.cat(x.split(TIME), dim=1), squares)
    torch.testing.assert_close(one, times * beside, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", PENALTIES)
def test_weight_multiplies(name):
    layer, x = tanh_layer(), torch.randn(30, BATCH, INPUT).double()
    costs = []
    for weight in (1.0, 2.5):
        torch.manual_seed(1)
        costs.append(PENALTIES[name](weight=weight).penalty(layer, x, end))
    torch.testing.assert_close(costs[1], 2.5 * costs[0], rtol=1e-12, atol=0)


# Pascanu, Mikolov & Bengio.


@pytest.mark.parametrize("loss", [end, every_step])
def test_gradient_norm_penalty_in_loops(loss):
    """Ω by explicit Jacobians Uᵀ diag(φ′) of each step, sequence by sequence; g by perturbing each state by itself."""
    layer, x = tanh_layer(2.0), torch.randn(TIME, BATCH, INPUT).double()
    u = layer.weight_hh_l0.detach().clone()
    states, _ = run_of(layer, x, u)
    direct = [torch.autograd.functional.jacobian(lambda h: loss((h[None],)), state.detach()) for state in states]
    if loss is end:  # it reads the last output alone
        direct = [torch.zeros_like(d) for d in direct[:-1]] + direct[-1:]
    totals = [direct[-1]]
    for t in reversed(range(TIME - 1)):
        slope = 1 - states[t + 1].square()
        totals.insert(0, direct[t] + (totals[0] * slope) @ u)

    def omega(matrix):
        """States and gradients stand still, the matrix alone moves: in J, and so in the slopes within it."""
        total = 0.0
        for b in range(BATCH):
            for t in range(1, TIME):
                a = layer.weight_ih_l0 @ x[t, b] + layer.bias_ih_l0 + matrix @ states[t - 1][b] + layer.bias_hh_l0
                jacobian = torch.diag(1 - torch.tanh(a).square()) @ matrix
                ratio = (totals[t][b] @ jacobian).norm() / totals[t][b].norm()
                total = total + (ratio - 1) ** 2
        return total / BATCH

    penalty = GradientNormPenalty().penalty(layer, x, loss)
    torch.testing.assert_close(penalty, omega(u), rtol=1e-10, atol=0)
    penalty.backward()
    expected = by_differences(lambda _: omega(u), u)
    torch.testing.assert_close(layer.weight_hh_l0.grad, expected, rtol=1e-5, atol=1e-7)


def test_gradient_norm_penalty_of_a_rotation_is_zero():
    layer = nn.RNN(INPUT, HIDDEN, nonlinearity="relu").double()
    nn.init.orthogonal_(layer.weight_hh_l0)
    linear = Recurrent.from_torch(layer)
    linear.cells[0].nonlinearity = nn.Identity()
    assert GradientNormPenalty().penalty(linear, torch.randn(TIME, BATCH, INPUT).double(), end) < 1e-24


def test_gradient_norm_penalty_leaves_out_what_is_exactly_zero():
    layer = TruncatedBackpropagation(4)(tanh_layer())
    x = torch.randn(6, BATCH, INPUT).double()
    cost = GradientNormPenalty().penalty(layer, x, end)
    assert 0 < cost < 2  # two steps behind the cut, one across it: a ratio of 0 costs 1
    cost.backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in layer.parameters())


# Gradient flossing.


def test_flossing_penalises_the_exponents_of_the_probe():
    layer, x = tanh_layer(), torch.randn(20, BATCH, INPUT).double()
    for count in (1, 2, HIDDEN):
        expected = probes.lyapunov(layer, x, count=count).square().mean()
        torch.testing.assert_close(GradientFlossing(count).penalty(layer, x, end), expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(
        GradientFlossing(99).penalty(layer, x, end), GradientFlossing(HIDDEN).penalty(layer, x, end)
    )


def test_flossing_of_a_linear_map_is_known():
    """A diagonal map: each exponent is the logarithm of an entry."""
    layer = Recurrent(cells.Elman, INPUT, HIDDEN).double()
    layer.cells[0].nonlinearity = nn.Identity()
    layer.cells[0].from_h.weight.data = torch.diag(torch.tensor([2.0, 1.0, 0.5, 0.1])).double()
    cost = GradientFlossing(2).penalty(layer, torch.randn(200, BATCH, INPUT).double(), end)
    assert cost.item() == pytest.approx(torch.tensor(2.0).log().square().item() / 2, rel=0.05)


def test_flossing_by_gram_schmidt_and_its_derivative_by_differences():
    layer, x = tanh_layer(1.5), torch.randn(TIME, BATCH, INPUT).double()
    weight = layer.weight_hh_l0
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([torch.randn(HIDDEN, dtype=torch.float64, generator=generator) for _ in range(2)], dim=-1)

    def cost(_):
        """Two directions, carried along and made orthogonal by hand, sequence by sequence."""
        _, slopes = run_of(layer, x, weight)
        squares = []
        for b in range(BATCH):
            first, second = torch.linalg.qr(drawn).Q.T
            logs = torch.zeros(2).double()
            for slope in slopes:
                first, second = slope[b] * (weight @ first), slope[b] * (weight @ second)
                second = second - (second @ first) / (first @ first) * first
                logs += torch.stack([first.norm().log(), second.norm().log()])
                first, second = first / first.norm(), second / second.norm()
            squares.append((logs / TIME).square().mean())
        return torch.stack(squares).mean()

    penalty = GradientFlossing(2).penalty(layer, x, end)
    torch.testing.assert_close(penalty, cost(None), rtol=1e-10, atol=0)
    penalty.backward()
    torch.testing.assert_close(weight.grad, by_differences(cost, weight.data), rtol=1e-5, atol=1e-7)


def test_flossing_leaves_out_a_direction_that_dies():
    """Four units of which one is never awake: three exponents can be pulled, the fourth would have no derivative."""
    layer = nn.RNN(INPUT, HIDDEN, nonlinearity="relu").double()
    layer.bias_hh_l0.data = torch.tensor([5.0, 5.0, 5.0, -50.0]).double()
    x = torch.randn(TIME, BATCH, INPUT).double()
    three, four = (GradientFlossing(count).penalty(layer, x, end) for count in (3, 4))
    assert torch.equal(three, four)
    assert three > 0
    four.backward()
    assert layer.weight_hh_l0.grad.isfinite().all()


def test_flossing_of_a_cell_that_holds_its_input_pulls_its_memory():
    """A QRNN: its memory is multiplied by 1 - f at each step, and what it holds of the input ends there."""
    layer, x = Recurrent(cells.QRNN, INPUT, 1).double(), torch.randn(400, BATCH, INPUT).double()
    cell = layer.cells[0]
    held = torch.cat([torch.zeros(1, BATCH, 3), cell.for_next(x)[:-1]])
    expected = (1 - torch.sigmoid(cell.from_x(x) + held)[..., 1]).log().mean(0).square().mean()
    cost = GradientFlossing(8).penalty(layer, x, end)
    torch.testing.assert_close(cost, expected, rtol=0.02, atol=0)  # the first direction holds some of the input


# Auxiliary reconstruction.


def test_reconstruction_is_a_regression():
    """Against torch's own least squares, on states from a loop."""
    layer, x = tanh_layer(), torch.randn(40, BATCH, INPUT).double()
    states, _ = run_of(layer, x, layer.weight_hh_l0)
    s = torch.stack(states)[1:].flatten(0, 1)
    y = x[:-1].flatten(0, 1)
    design = torch.cat([s, torch.ones(len(s), 1)], -1)
    residual = y - design @ torch.linalg.lstsq(design, y).solution
    expected = residual.square().sum() / (y - y.mean(0)).square().sum()
    cost = AuxiliaryReconstruction(reach=1).penalty(layer, x, end)
    torch.testing.assert_close(cost, expected.detach(), rtol=1e-3, atol=1e-4)  # up to the ridge
    assert 0 < cost < 1


def test_reconstruction_of_what_is_kept_costs_nothing_and_of_what_is_gone_everything():
    """A state that is the input itself; one step later nothing of it is left."""
    layer = Recurrent(cells.Elman, INPUT, INPUT, bias=False).double()
    layer.cells[0].nonlinearity = nn.Identity()
    layer.cells[0].from_x.weight.data = torch.eye(INPUT).double()
    x = torch.randn(2000, BATCH, INPUT).double()
    for decay, kept in ((0.0, 0.0), (0.5, 0.25 * 0.75)):  # h = Σ decayᵏ x: the part of x one step ago is decay² of all
        layer.cells[0].from_h.weight.data = decay * torch.eye(INPUT).double()
        cost = AuxiliaryReconstruction(reach=1).penalty(layer, x, end)
        assert cost.item() == pytest.approx(1 - kept, abs=0.02)


def test_reconstruction_derivative_by_differences(monkeypatch):
    layer, x = tanh_layer(), torch.randn(20, BATCH, INPUT).double()
    cure = AuxiliaryReconstruction(reach=1)
    cure.penalty(layer, x, end).backward()
    expected = by_differences(lambda _: cure.penalty(layer, x, end), layer.weight_hh_l0.data)
    torch.testing.assert_close(layer.weight_hh_l0.grad, expected, rtol=1e-5, atol=1e-7)


def test_reconstruction_draws_a_new_lag_each_time(monkeypatch):
    lags = []
    lost = auxiliary_reconstruction.lost
    monkeypatch.setattr(auxiliary_reconstruction, "lost", lambda run, lag: lags.append(lag) or lost(run, lag))
    for _ in range(40):
        AuxiliaryReconstruction(reach=4).penalty(tanh_layer(), torch.randn(6, BATCH, INPUT).double(), end)
    assert set(lags) == {1, 2, 3, 4}


# The invariant of each: trained on the penalty alone, what it penalises moves the right way.


def trained(cure, layer, x, steps=40):
    rule = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(steps):
        rule.zero_grad()
        cure.penalty(layer, x, end).backward()
        rule.step()
    return layer


def test_gradient_norm_penalty_keeps_the_gradient():
    layer, x = nn.RNN(INPUT, 12), torch.randn(20, 8, INPUT)
    (before,) = probes.retention(layer, x, end).values()
    (after,) = probes.retention(trained(GradientNormPenalty(), layer, x), x, end).values()
    assert before.gain[15] < 1e-4
    assert after.gain[15] > 0.05


def test_flossing_brings_exponents_to_zero():
    layer, x = nn.RNN(INPUT, 12), torch.randn(15, 4, INPUT)
    before = probes.lyapunov(layer, x, count=3).mean(0)
    after = probes.lyapunov(trained(GradientFlossing(3), layer, x), x, count=3).mean(0)
    assert (before < -0.3).all()
    assert (after.abs() < 0.2 * before.abs()).all()


def test_reconstruction_makes_the_past_legible():
    layer, x = nn.RNN(INPUT, 12), torch.randn(60, 8, INPUT)
    cure = AuxiliaryReconstruction(reach=1)
    fresh = torch.randn(200, 8, INPUT)
    before = cure.penalty(layer, fresh, end).item()
    after = cure.penalty(trained(cure, layer, x), fresh, end).item()
    assert after < 0.3 * before


@pytest.mark.parametrize(
    ("build", "needed"),
    [(lambda: GradientFlossing(0), "count >= 1"), (lambda: AuxiliaryReconstruction(0), "reach >= 1")],
)
def test_numbers_are_checked(build, needed):
    with pytest.raises(ValueError, match=needed):
        build()
