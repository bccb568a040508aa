"""Recurrent batch normalisation: the paper's equations unit by unit, torch's own batch_norm, and what it keeps for evaluation."""

import copy
import math

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, TIME, TORCH, sequences, train_a_little
from torch import nn
from torch.nn.functional import batch_norm

from rnnvanish import Recurrent, cells, diagnose, probes
from rnnvanish.backward.replay import UnrepeatableStep
from rnnvanish.layers import state_parts
from rnnvanish.mitigations import RecurrentBatchNormalisation

LENGTHS = torch.tensor([2, 7, 4, 7])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def drawn(layer):
    """The layer with gains and biases that tell each other apart."""
    for name, parameter in layer.named_parameters():
        if name.endswith(("gain", "bias")):
            nn.init.uniform_(parameter, 0.2, 1.5)
    return layer


def of_batch(rows, gain):
    """Each number less the mean of its column, over the spread of it, times the gain."""
    columns = []
    for column, factor in zip(zip(*rows, strict=True), gain, strict=True):
        mean = sum(column) / len(column)
        spread = math.sqrt(sum((each - mean) ** 2 for each in column) / len(column) + 1e-5)
        columns.append([factor * (each - mean) / spread for each in column])
    return [list(row) for row in zip(*columns, strict=True)]


def product(matrix, row):
    return [sum(weight * each for weight, each in zip(line, row, strict=True)) for line in matrix]


def test_the_papers_lstm_unit_by_unit():
    """(f, i, o, g) = BN(U h; γ_h) + BN(W x; γ_x) + b, in numbers of Python; torch's LSTM has two biases, and another order."""
    layer = drawn(RecurrentBatchNormalisation()(TORCH["LSTM"][1]()))
    cell, x = layer.cells[0].cell, sequences()
    w, u = (each.weight.tolist() for each in (cell.from_x, cell.from_h))
    w_gain, u_gain = (each.gain.tolist() for each in (cell.from_x, cell.from_h))
    bias = (cell.from_x.bias + cell.from_h.bias).tolist()
    h, c = ([[0.0] * HIDDEN for _ in range(BATCH)] for _ in "hc")
    expected = []
    for now in x.tolist():
        read = of_batch([product(w, row) for row in now], w_gain)
        held = of_batch([product(u, row) for row in h], u_gain)
        for row in range(BATCH):
            a = [sum(three) for three in zip(read[row], held[row], bias, strict=True)]
            i, f, g, o = (a[k * HIDDEN : (k + 1) * HIDDEN] for k in range(4))
            for k in range(HIDDEN):
                kept = c[row][k] / (1 + math.exp(-f[k]))
                c[row][k] = kept + math.tanh(g[k]) / (1 + math.exp(-i[k]))
                h[row][k] = math.tanh(c[row][k]) / (1 + math.exp(-o[k]))
        expected.append(copy.deepcopy(h))
    torch.testing.assert_close(layer(x)[0], x.new_tensor(expected), rtol=1e-9, atol=1e-9)


def by_hand(cell, x, lengths=None):
    """A plain layer with torch's batch_norm, over the sequences that run on alone; its outputs, and its statistics by step."""
    h, outputs, statistics = x.new_zeros(x.shape[1], HIDDEN), [], []
    for t, now in enumerate(x):
        runs = torch.arange(x.shape[1]) if lengths is None else (lengths > t).nonzero()[:, 0]
        parts = [now[runs] @ cell.from_x.weight.T, h[runs] @ cell.from_h.weight.T]
        linears = (cell.from_x, cell.from_h)
        normed = [
            batch_norm(part, None, None, each.gain, each.bias, training=True)
            for part, each in zip(parts, linears, strict=True)
        ]
        new = torch.tanh(sum(normed))
        h = h.index_copy(0, runs, new)
        outputs.append(torch.zeros_like(h).index_copy(0, runs, new))
        statistics.append([(part.mean(0).detach(), part.var(0, unbiased=False).detach()) for part in parts])
    return torch.stack(outputs), statistics


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "lengths"])
def test_torchs_batch_norm_gives_the_same_numbers_and_gradients(lengths):
    layer = drawn(RecurrentBatchNormalisation()(TORCH["RNN"][1]()))
    x = sequences().requires_grad_()
    outputs, (expected, _) = layer(x, lengths=lengths)[0], by_hand(layer.cells[0].cell, x, lengths)
    torch.testing.assert_close(outputs, expected, rtol=1e-9, atol=1e-10)
    weights = [x, *layer.parameters()]
    weigh = torch.randn_like(outputs)
    for ours, theirs in zip(
        torch.autograd.grad((weigh * outputs).sum(), weights),
        torch.autograd.grad((weigh * expected).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("both_ways", [False, True])
def test_padding_counts_nowhere(both_ways):
    layers = [RecurrentBatchNormalisation()(TORCH["GRU"][1](num_layers=2, bidirectional=both_ways))]
    layers.append(copy.deepcopy(layers[0]))
    x, behind = sequences(), torch.arange(TIME)[:, None] >= LENGTHS
    padded = [torch.where(behind[..., None], 100 * torch.randn_like(x), x) for _ in layers]
    outputs = [layer(each, lengths=LENGTHS)[0] for layer, each in zip(layers, padded, strict=True)]
    torch.testing.assert_close(*outputs, rtol=0, atol=0)
    torch.testing.assert_close(*(layer.state_dict() for layer in layers), rtol=0, atol=0)


def test_where_one_sequence_runs_on_the_kept_statistics_serve():
    layer, x = RecurrentBatchNormalisation()(TORCH["RNN"][1]()), sequences()
    for _ in range(3):
        layer(torch.randn_like(x))
    before = copy.deepcopy(layer)
    output, _ = layer(x, lengths=torch.tensor([2, TIME, 2, 2]))
    h = output[1, 1]
    for t in range(2, TIME):
        h = before.eval()(x[t : t + 1, 1:2], (h[None, None], torch.full((1, 1, 1), float(t)).double()))[0][0, 0]
        torch.testing.assert_close(output[t, 1], h)
    for kept, old in zip(layer.buffers(), before.buffers(), strict=True):
        assert kept[2:].equal(old[2:])
        assert not kept[:2].equal(old[:2])


def test_evaluation_has_the_averages_of_each_step():
    """Of the first batches the plain mean, which nothing else enters; a step that training never saw has those of the last."""
    layer = drawn(RecurrentBatchNormalisation()(TORCH["RNN"][1]()))
    batches = [sequences() for _ in range(3)]
    found = [by_hand(layer.cells[0].cell, x)[1] for x in batches]
    for x in batches:
        layer(x)
    cell, x, h = layer.eval().cells[0].cell, sequences(TIME + 2), torch.zeros(BATCH, HIDDEN).double()
    for t, output in enumerate(layer(x)[0]):
        step, a = min(t, TIME - 1), 0.0
        for k, (linear, read) in enumerate([(cell.from_x, x[t]), (cell.from_h, h)]):
            mean, variance = (sum(each[step][k][which] for each in found) / len(found) for which in (0, 1))
            a = a + linear.bias + linear.gain * (read @ linear.weight.T - mean) / (variance + 1e-5).sqrt()
        h = torch.tanh(a)
        torch.testing.assert_close(output, h, rtol=1e-9, atol=1e-9)


def test_later_batches_move_the_averages_by_a_twentieth():
    layer, x = RecurrentBatchNormalisation()(TORCH["RNN"][1]()), sequences(1)
    for _ in range(25):
        layer(torch.randn_like(x))
    linear = layer.cells[0].cell.from_x
    old, new = linear.mean[0].clone(), (x[0] @ linear.weight.T).mean(0)
    layer(x)
    torch.testing.assert_close(linear.mean[0], 0.95 * old + 0.05 * new)


def test_steps_behind_the_last_of_its_own_share_its_statistics():
    layer, x = RecurrentBatchNormalisation(steps=2)(TORCH["RNN"][1]()), sequences()
    layer(x)
    assert layer.cells[0].batches.tolist() == [1, TIME - 1]
    layer.eval()
    _, between = layer(x[:3])
    assert state_parts(between)[1].eq(1).all()
    torch.testing.assert_close(layer(x[3:], between)[0], layer(x)[0][3:], rtol=1e-12, atol=1e-12)


def test_its_invariant_after_training():
    layer = train_a_little(RecurrentBatchNormalisation()(nn.LSTM(INPUT, HIDDEN, bias=False)))
    products = []
    cell = layer.cells[0].cell
    for linear in (cell.from_x, cell.from_h):
        linear.register_forward_hook(lambda linear, read, product: products.append((linear, product.detach())))
    layer(torch.randn(5, 400, INPUT))
    for linear, product in products[2:]:  # the first h is zero
        torch.testing.assert_close(product.mean(0), torch.zeros(4 * HIDDEN), rtol=0, atol=1e-5)
        torch.testing.assert_close(product.std(0, unbiased=False), linear.gain.detach().abs(), rtol=0.05, atol=1e-3)


def test_in_evaluation_nothing_is_kept():
    layer = RecurrentBatchNormalisation()(TORCH["RNN"][1]()).eval()
    before = copy.deepcopy(layer.state_dict())
    layer(sequences())
    torch.testing.assert_close(layer.state_dict(), before, rtol=0, atol=0)


def test_measures_of_steps_refuse_in_training_and_work_in_evaluation():
    layer, x = RecurrentBatchNormalisation()(TORCH["LSTM"][1]()), sequences(12)
    layer(x)
    before = copy.deepcopy(layer.state_dict())
    with pytest.raises(UnrepeatableStep, match=r"BatchNormalised: .* acts in training alone, model.eval\(\)"):
        probes.jacobian(layer, x, 1)
    said = str(diagnose(layer, x))
    assert "BatchNormalised" in said
    torch.testing.assert_close(layer.state_dict(), before, rtol=0, atol=0)
    layer.eval()
    x = x[:, :1]
    between = state_parts(layer(x[:-1])[1])
    h, c = (part[0, 0].detach() for part in between[:2])

    def step(h, c):
        return tuple(part.flatten() for part in layer(x[-1:], (h[None, None], c[None, None], between[2]))[1])

    blocks = torch.autograd.functional.jacobian(step, (h, c))
    matrix = torch.cat([torch.cat(row, dim=1) for row in blocks])
    torch.testing.assert_close(probes.jacobian(layer, x, 1).flatten(), torch.linalg.svdvals(matrix))


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (lambda layer, x: layer(x[:, :1]), "two sequences at least in training"),
        (
            lambda layer, x: layer(x, resets=torch.arange(TIME * BATCH).view(TIME, BATCH) == 9),
            "some at step 0 and some at 2",
        ),
        (lambda layer, x: layer(x, layer(x, lengths=LENGTHS)[1]), "some at step 2 and some at 7"),
    ],
)
def test_what_has_no_statistics_of_one_step_is_refused_in_training(run, said):
    layer, x = RecurrentBatchNormalisation()(TORCH["GRU"][1]()), sequences()
    with pytest.raises(ValueError, match=said):
        run(layer, x)
    assert run(layer.eval(), x)[0].isfinite().all()


class OfTwoRows(cells.Elman):
    """Its matrix reads two rows a sequence."""

    def forward(self, x, state):
        return (torch.tanh(self.from_x(x) + self.from_h(torch.stack(2 * state, dim=1)).sum(1)),)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: RecurrentBatchNormalisation(gain=0), "gain other than 0"),
        (lambda: RecurrentBatchNormalisation(steps=0), "steps >= 1"),
        (
            lambda: RecurrentBatchNormalisation()(Recurrent(cells.GRU, 2, 3, engine="cpu")),
            "plain loop, got engine='cpu'",
        ),
        (lambda: RecurrentBatchNormalisation()(Recurrent(cells.SRU, 3, 3)), "output is a part of its state, got SRU"),
        (lambda: RecurrentBatchNormalisation()(RecurrentBatchNormalisation()(nn.GRU(2, 3))), "normalise once"),
        (lambda: RecurrentBatchNormalisation()(Recurrent(OfTwoRows, 2, 3))(torch.randn(3, 2, 2)), "reads 2 axes"),
        (lambda: RecurrentBatchNormalisation()(nn.GRUCell(2, 3)), "its state would have 2 part"),
    ],
)
def test_what_does_not_suit_is_refused(build, said):
    with pytest.raises(ValueError, match=said):
        build()
