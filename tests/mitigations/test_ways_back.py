"""Cures that change the way back alone: values stay, and the gradient is held against one taken by hand."""

import copy
import itertools

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, TIME, TORCH, sequences, train_a_little
from torch import nn

from rnnvanish import Recurrent, cells, diagnose, probes
from rnnvanish.backward.replay import UnrepeatableStep
from rnnvanish.layers import state_parts
from rnnvanish.mitigation import innermost
from rnnvanish.mitigations.h_detach import HDetach
from rnnvanish.mitigations.normalised_backpropagation import NormalisedBackpropagation
from rnnvanish.mitigations.random_truncation import RandomTruncation

STEPS = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
DRAWN = (HDetach(0.4), RandomTruncation(3.0))
ALL = (*DRAWN, NormalisedBackpropagation())


def suit(cures):
    return [(cure, kind) for cure in cures for kind in TORCH if kind != "RNN" or not isinstance(cure, HDetach)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def step_of(layer):
    """Torch's step with the weights of a layer."""
    step = STEPS[type(layer).__name__](INPUT, HIDDEN).double()
    step.load_state_dict({name.removesuffix("_l0"): each for name, each in layer.state_dict().items()})
    return step


def gradient_of(layer, loss):
    return torch.autograd.grad(loss, list(layer.parameters()))


def weights_by_hand(step):
    """In the order of our cells' parameters."""
    return [getattr(step, name) for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")]


def ours(layer):
    cell = innermost(layer.cells[0])
    return [cell.from_x.weight, cell.from_x.bias, cell.from_h.weight, cell.from_h.bias]


def loss_of(outputs):
    return outputs.cos().sum()


@pytest.mark.parametrize(("cure", "kind"), suit(ALL), ids=str)
def test_values_are_those_of_the_plain_layer_and_a_seed_repeats_the_gradient(cure, kind):
    plain = Recurrent(TORCH[kind][0], INPUT, HIDDEN, num_layers=2, bidirectional=True).double()
    layer, x, lengths = cure(copy.deepcopy(plain)), sequences(), torch.tensor([2, 7, 1, 5])
    expected, found = plain(x, lengths=lengths), layer(x, lengths=lengths)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    gradients = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        gradients.append(gradient_of(layer, loss_of(layer(x, lengths=lengths)[0])))
    assert all(map(torch.equal, gradients[0], gradients[1]))
    assert all(map(torch.equal, gradients[0], gradients[2])) == (cure not in DRAWN)
    if cure in DRAWN:
        whole = gradient_of(plain, loss_of(plain(x, lengths=lengths)[0]))
        torch.testing.assert_close(gradient_of(layer.eval(), loss_of(layer(x, lengths=lengths)[0])), whole)


@pytest.mark.parametrize(("cure", "kind"), [(DRAWN[0], cells.GRU), (DRAWN[1], cells.Elman)], ids=str)
def test_compiled_it_draws_the_same(cure, kind):
    found, x = [], sequences()
    for engine in ("reference", "cpu"):
        torch.manual_seed(0)
        layer = cure(Recurrent(kind, INPUT, HIDDEN, engine=engine).double())
        plain = Recurrent(kind, INPUT, HIDDEN, engine=engine).double()
        plain.load_state_dict({name.replace(".cell.", "."): each for name, each in layer.state_dict().items()})
        torch.manual_seed(1)
        outputs = layer(x)[0]
        torch.testing.assert_close(outputs, plain(x)[0], rtol=0, atol=0)
        found.append(gradient_of(layer, loss_of(outputs)))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="needs the plain loop, got engine='cpu'"):
        NormalisedBackpropagation()(plain)


@pytest.mark.parametrize(("cure", "kind"), suit(ALL), ids=str)
def test_a_loop_of_the_users_own_gets_the_same(cure, kind):
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = step_of(layer)

        def forward(self, x):
            state, outputs = None, []
            for now in x:
                state = self.cell(now, state)
                outputs.append(state_parts(state)[0])
            return torch.stack(outputs)

    layer, x = TORCH[kind][1](), sequences()
    loop, treated = cure(Loop()), cure(layer)
    gradients = []
    for run in (lambda: loop(x), lambda: treated(x)[0]):
        torch.manual_seed(1)
        gradients.append(torch.autograd.grad(loss_of(run()), list((loop if not gradients else treated).parameters())))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("cure", "kind"), suit(ALL), ids=str)
def test_retention_shows_what_training_gets_and_jacobians_refuse(cure, kind):
    layer, x = cure(TORCH[kind][1]()), sequences()
    torch.manual_seed(1)
    (curve,) = probes.retention(layer, x, lambda returned: returned[0][-1].sum()).values()
    torch.manual_seed(1)
    _, between = layer(x[:3])
    state = [part.detach().requires_grad_() for part in state_parts(between)]
    found = torch.autograd.grad(layer(x[3:], tuple(state) if len(state) > 1 else state[0])[0][-1].sum(), state)
    rows = torch.cat([part[0] for part in found], dim=-1).norm(dim=-1) / HIDDEN**0.5
    torch.testing.assert_close(curve.gain[4], rows.log().mean().exp(), rtol=1e-9, atol=0)
    with pytest.raises(UnrepeatableStep, match="a cure changes what its steps hand back"):
        probes.jacobian(layer, x, 1)
    if cure in DRAWN:
        plain = TORCH[kind][1]()
        assert probes.jacobian(cure(plain).eval(), x, 1).equal(
            probes.jacobian(Recurrent.from_torch(plain).eval(), x, 1)
        )


# h-detach.


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_h_detach_by_hand(kind):
    """The step written out, with h detached where the same coins say so; through c, or z h, the gradient passes."""
    layer, x = TORCH[kind][1](), sequences()
    step, treated = step_of(layer), HDetach(0.4)(layer)
    torch.manual_seed(1)
    treated(x)[0].cos().sum().backward()
    torch.manual_seed(1)
    h = c = torch.zeros(BATCH, HIDDEN).double()
    outputs = []
    for now in x:
        coin = torch.rand(BATCH, 1, dtype=torch.float64)
        read = torch.where(coin < 0.4, h.detach(), h)
        from_x, from_h = now @ step.weight_ih.T + step.bias_ih, read @ step.weight_hh.T + step.bias_hh
        if kind == "LSTM":
            i, f, g, o = (from_x + from_h).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        else:
            (rx, zx, nx), (rh, zh, nh) = from_x.chunk(3, -1), from_h.chunk(3, -1)
            z = torch.sigmoid(zx + zh)
            h = (1 - z) * torch.tanh(nx + torch.sigmoid(rx + rh) * nh) + z * h
        outputs.append(h)
    expected = torch.autograd.grad(loss_of(torch.stack(outputs)), weights_by_hand(step))
    torch.testing.assert_close(tuple(weight.grad for weight in ours(treated)), expected, rtol=1e-9, atol=1e-12)


def test_h_detach_leaves_the_forget_gate_alone():
    """The closed form, after some training: what comes back to c is the product of the forget gates on the way."""
    layer = train_a_little(HDetach(1.0)(nn.LSTM(INPUT, HIDDEN)), steps=5).double()
    x = sequences()[:, :1]
    cell, state, kept = innermost(layer.cells[0]), None, []
    for now in x:
        h = torch.zeros(1, HIDDEN).double() if state is None else state[0][0]
        kept.append(torch.sigmoid((cell.from_x(now) + cell.from_h(h))[:, HIDDEN : 2 * HIDDEN]))
        _, state = layer(now[None], state)
    (curve,) = probes.retention(layer, x, lambda returned: returned[1][1].sum()).values()
    for lag in range(1, TIME):
        expected = torch.stack(kept[TIME - lag :]).prod(0).norm() / HIDDEN**0.5
        torch.testing.assert_close(curve.part("c").gain[lag], expected.detach(), rtol=1e-9, atol=0)


def test_h_detach_of_nothing_is_the_plain_gradient():
    layer, x = TORCH["LSTM"][1](), sequences()
    treated = HDetach(0.0)(copy.deepcopy(layer))
    whole = gradient_of(layer, loss_of(layer(x)[0]))
    torch.testing.assert_close(gradient_of(treated, loss_of(treated(x)[0])), (whole[0], whole[2], whole[1], whole[3]))


def test_h_detach_says_what_it_needs():
    for kind in (cells.Elman, cells.MinGRU):
        with pytest.raises(ValueError, match="HDetach needs a cell"):
            HDetach()(Recurrent(kind, INPUT, HIDDEN))
    with pytest.raises(ValueError, match=r"probability in \[0, 1\], got 1.5"):
        HDetach(1.5)


# Randomly truncated backpropagation.


@pytest.mark.parametrize("kind", TORCH)
def test_random_truncation_is_unbiased(kind, monkeypatch):
    """All 2⁵ ways to cut a sequence of five steps, each with its probability: their mean is the whole gradient."""
    plain, x, cut = TORCH[kind][1](), sequences(5)[:, :1], 1 / 3.7
    layer = RandomTruncation(1 / cut)(copy.deepcopy(plain))
    layer.engine = "reference"
    expected = gradient_of(plain, loss_of(plain(x)[0]))
    mean, single = [torch.zeros_like(each) for each in expected], []
    for pattern in itertools.product((True, False), repeat=5):
        coins = iter([0.0 if each else 1.0 for each in pattern])
        monkeypatch.setattr(torch, "rand_like", lambda like, coins=coins: torch.full_like(like, next(coins)))
        found = torch.autograd.grad(loss_of(layer(x)[0]), [ours(layer)[place] for place in (0, 2, 1, 3)])
        assert next(coins, None) is None
        chance = cut ** sum(pattern) * (1 - cut) ** (5 - sum(pattern))
        single.append(found[1])
        mean = [total + chance * each for total, each in zip(mean, found, strict=True)]
    torch.testing.assert_close(tuple(mean), expected, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(single[0], expected[1])


def test_random_truncation_cuts_as_often_as_it_says():
    """After some training: the gradient of a step back is zero for 1 in `window` sequences, and larger for the others."""
    layer = train_a_little(RandomTruncation(4.0)(nn.RNN(INPUT, HIDDEN)), steps=5).double()
    x, state = torch.randn(1, 4000, INPUT).double(), torch.randn(1, 4000, HIDDEN).double().requires_grad_()
    (found,) = torch.autograd.grad(layer(x, state)[0].sum(), state)
    (whole,) = torch.autograd.grad(layer.eval()(x, state)[0].sum(), state)
    cut = found.eq(0).all(-1)
    assert cut.double().mean().item() == pytest.approx(0.25, abs=0.02)
    torch.testing.assert_close(found[~cut], whole[~cut] * 4 / 3)
    with pytest.raises(ValueError, match="window > 1 step, got 1"):
        RandomTruncation(1.0)


# Normalised backpropagation.


def test_normalised_by_explicit_jacobians():
    """A tanh network, sequence by sequence: g is taken back by Uᵀ diag(slope), and brought back to its length."""
    layer, x = TORCH["RNN"][1](), sequences()
    u, treated = layer.weight_hh_l0.detach().clone(), NormalisedBackpropagation()(layer)
    outputs = treated(x)[0]
    found = torch.autograd.grad(loss_of(outputs), innermost(treated.cells[0]).from_h.weight)[0]
    h, expected = outputs.detach(), torch.zeros(HIDDEN, HIDDEN).double()
    for b in range(BATCH):
        back = torch.zeros(HIDDEN).double()
        for t in reversed(range(TIME)):
            total = -h[t, b].sin() + back
            pull = (1 - h[t, b].square()) * total
            expected += torch.outer(pull, h[t - 1, b] if t else torch.zeros(HIDDEN).double())
            back = u.T @ pull
            back = back * total.norm() / back.norm()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", TORCH)
def test_normalised_keeps_one_length_at_every_lag_while_it_trains(kind):
    layer = train_a_little(NormalisedBackpropagation()(TORCH[kind][1]().float()), steps=5).double()
    for loss in (None, lambda returned: 1e-30 * returned[0][-1].sum()):
        (curve,) = probes.retention(layer, sequences(40), loss).values()
        torch.testing.assert_close(curve.gain, torch.ones(40).double(), rtol=1e-9, atol=0)
    assert diagnose(layer, sequences(40)).healthy


def test_normalised_leaves_a_zero_at_zero():
    layer = NormalisedBackpropagation()(nn.RNN(INPUT, HIDDEN, nonlinearity="relu").double())
    innermost(layer.cells[0]).from_x.bias.data.fill_(-50.0)
    layer(sequences())[0].sum().backward()
    assert all(weight.grad.eq(0).all() for weight in layer.parameters())


def test_normalised_takes_a_state_of_any_kind():
    for name in ("LRU", "MLSTM", "ClockworkRNN", "SLSTM"):
        kind = cells.ALL[name]
        layer = NormalisedBackpropagation()(Recurrent(kind, INPUT, 4, **kind.small).double())
        layer(sequences())[0].cos().sum().backward()
        assert all(weight.grad is None or weight.grad.isfinite().all() for weight in layer.parameters())


def test_normalised_keeps_the_length_of_what_is_memory_alone():
    """The stabiliser of an sLSTM has a gradient, too, on which nothing of this depends."""
    layer = NormalisedBackpropagation()(Recurrent(cells.SLSTM, INPUT, 4, **cells.SLSTM.small).double())
    _, state = layer(sequences())
    start = tuple(part.detach().requires_grad_() for part in state)
    memory = [place for place, name in enumerate(layer.state_names) if name not in layer.cells[0].helpers]
    assert len(memory) < len(start)
    final, weights = layer(sequences(), start)[1], torch.randn(len(memory), BATCH, 4).double()
    loss = sum((final[place][0] * each).sum() for place, each in zip(memory, weights, strict=True))
    found = torch.autograd.grad(loss, [start[place] for place in memory])
    lengths = torch.cat([each[0] for each in found], dim=-1).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.cat([*weights], dim=-1).norm(dim=-1))
