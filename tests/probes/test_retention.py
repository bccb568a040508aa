"""Retention against an explicit loop, one sequence at a time, in double precision; and against closed forms."""

import itertools
import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from rnnvanish import Recurrent, cells
from rnnvanish.probes import retention

TIME, INPUT, HIDDEN = 6, 3, 4
LENGTHS = {"packed, sorted": [6, 4, 4, 1], "packed, in any order": [4, 6, 1, 4]}
KINDS = {
    "RNN": lambda **options: nn.RNN(INPUT, HIDDEN, **options),
    "RNN relu": lambda **options: nn.RNN(INPUT, HIDDEN, nonlinearity="relu", **options),
    "LSTM": lambda **options: nn.LSTM(INPUT, HIDDEN, **options),
    "LSTM projected": lambda **options: nn.LSTM(INPUT, HIDDEN, proj_size=2, **options),
    "GRU": lambda **options: nn.GRU(INPUT, HIDDEN, **options),
}


def step(module: nn.RNNBase, suffix: str, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One step of one sequence, from torch's documentation."""
    a = linear(x, getattr(module, f"weight_ih{suffix}"), getattr(module, f"bias_ih{suffix}", None))
    b = linear(state[0], getattr(module, f"weight_hh{suffix}"), getattr(module, f"bias_hh{suffix}", None))
    if module.mode == "LSTM":
        i, f, g, o = (a + b).split(module.hidden_size)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return (getattr(module, f"weight_hr{suffix}") @ h if module.proj_size else h), c
    if module.mode == "GRU":
        (ar, az, an), (br, bz, bn) = a.split(module.hidden_size), b.split(module.hidden_size)
        z = (az + bz).sigmoid()
        return ((1 - z) * (an + (ar + br).sigmoid() * bn).tanh() + z * state[0],)
    return ((a + b).tanh() if module.mode == "RNN_TANH" else (a + b).relu(),)


def explicit(module: nn.RNNBase, x: Tensor, masks: list[Tensor]) -> dict[str, list[list[Tensor]]]:
    """Run one sequence (time, input); a zero is added to each state: its gradient is the one asked for.

    Returns, for each layer and direction, the gradients at each step in the order of the run, whole then by part.
    """
    zeros, finals = {}, []
    y = list(x)
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(2 if module.bidirectional else 1):
            width = module.proj_size or module.hidden_size
            state = (x.new_zeros(width),) + ((x.new_zeros(module.hidden_size),) if module.mode == "LSTM" else ())
            suffix, name = f"_l{layer}" + "_reverse" * direction, f"layer{layer}/{('forward', 'reverse')[direction]}"
            zeros[name], run = [], []
            for now in reversed(y) if direction else y:
                added = [torch.zeros_like(part).requires_grad_() for part in state]
                state = tuple(part + zero for part, zero in zip(step(module, suffix, now, state), added, strict=True))
                zeros[name].append(added)
                run.append(state[0])
            outputs.append(run[::-1] if direction else run)
            finals = (finals if direction else []) + [part.sum() for part in state]
        y = [torch.cat(parts) for parts in zip(*outputs, strict=True)]
        if layer < module.num_layers - 1 and masks:
            y = [value * mask for value, mask in zip(y, masks[layer], strict=True)]
    every = [zero for run in zeros.values() for added in run for zero in added]
    found = torch.autograd.grad(sum(finals), every, allow_unused=True)
    gradients = iter(torch.zeros_like(zero) if g is None else g for g, zero in zip(found, every, strict=True))
    return {name: [[next(gradients) for _ in added] for added in run] for name, run in zeros.items()}


def dropout_masks(module: nn.RNNBase, x: Tensor | PackedSequence, lengths: list[int]) -> list[list[Tensor]]:
    """The masks that torch draws between layers at this seed: for each sequence, for each layer, for each step."""
    if not module.dropout:
        return [[] for _ in lengths]
    width = (module.proj_size or module.hidden_size) * (2 if module.bidirectional else 1)
    rows = [len(x.data)] if isinstance(x, PackedSequence) else [TIME, len(lengths)]
    drawn = [
        dropout(torch.ones(*rows, width, dtype=torch.float64), module.dropout) for _ in range(module.num_layers - 1)
    ]
    if not isinstance(x, PackedSequence):
        return [[mask[:, i] for mask in drawn] for i in range(len(lengths))]
    starts = [0, *itertools.accumulate(x.batch_sizes.tolist())]
    place = range(len(lengths)) if x.sorted_indices is None else x.unsorted_indices.tolist()
    return [[mask[[starts[t] + place[i] for t in range(length)]] for mask in drawn] for i, length in enumerate(lengths)]


def expected_gain(per_sequence: list[list[list[Tensor]]], part: int | None) -> Tensor:
    """The definition: geometric mean of |g_(T-k)| / |g_T| over the sequences longer than k."""
    gains = []
    for lag in range(max(map(len, per_sequence))):
        logs = []
        for steps in per_sequence:
            now, end = steps[max(len(steps) - 1 - lag, 0)], torch.cat(steps[-1]).norm()
            if lag < len(steps) and end > 0:  # an end that dropout or a dead ReLU cut off is not read
                logs.append((torch.cat(now) if part is None else now[part]).norm().div(end).log())
        gains.append(torch.stack(logs).mean().exp() if logs else torch.tensor(torch.nan, dtype=torch.float64))
    return torch.stack(gains)


same = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("form", ["time first", "batch first", "unbatched", *LENGTHS])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("layers", "dropped"), [(1, 0.0), (3, 0.0), (3, 0.5)])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_an_explicit_loop(kind, layers, bidirectional, form, dropped):
    torch.manual_seed(0)
    options = {"num_layers": layers, "bidirectional": bidirectional, "batch_first": form == "batch first"}
    module = KINDS[kind](**options, dropout=dropped).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(2)  # a livelier network than the default: ReLUs that are not all dead
    lengths = [TIME] if form == "unbatched" else LENGTHS.get(form, [TIME] * 4)
    padded = torch.randn(TIME, len(lengths), INPUT, dtype=torch.float64)
    x = {"unbatched": padded[:, 0], "batch first": padded.transpose(0, 1)}.get(form, padded)
    if form in LENGTHS:
        x = pack_padded_sequence(padded, torch.tensor(lengths), enforce_sorted=form == "packed, sorted")

    torch.manual_seed(1)
    masks = dropout_masks(module, x, lengths)
    runs = [explicit(module, padded[:length, i], masks[i]) for i, length in enumerate(lengths)]
    torch.manual_seed(1)
    curves = retention(module, x)

    name = type(module).__name__
    assert list(curves) == [f"{name}/{loop}" for loop in runs[0]]
    for loop in runs[0]:
        curve = curves[f"{name}/{loop}"]
        per_sequence = [run[loop] for run in runs]
        expected = expected_gain(per_sequence, None)
        steps = len(curve.gain)  # of the longest sequence whose end is read
        same(curve.gain, expected[:steps])
        assert expected[steps:].isnan().all()
        for index, part in enumerate(curve.names):
            same(curve.part(part).gain, expected_gain(per_sequence, index)[:steps])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_has_the_curves_of_torch(kind):
    torch.manual_seed(0)
    module = KINDS[kind](num_layers=2, bidirectional=True, batch_first=True).double()
    x = torch.randn(3, TIME, INPUT, dtype=torch.float64)
    theirs, ours = retention(module, x), retention(Recurrent.from_torch(module), x)
    assert [name.partition("/")[2] for name in theirs] == [name.partition("/")[2] for name in ours]
    for a, b in zip(theirs.values(), ours.values(), strict=True):
        torch.testing.assert_close(a.gain, b.gain, rtol=1e-12, atol=1e-12)


def test_lengths_of_recurrent_are_aligned_to_each_end():
    """A padded sequence that is read at its own end has lost nothing in the padding."""
    torch.manual_seed(0)
    layer = Recurrent(cells.GRU, INPUT, HIDDEN, batch_first=True).double()
    x = torch.randn(2, 50, INPUT, dtype=torch.float64)
    both = retention(layer, (x, None, torch.tensor([50, 8])))["Recurrent/layer0/forward"]
    long, short = (retention(layer, x[i : i + 1, :n])["Recurrent/layer0/forward"] for i, n in ((0, 50), (1, 8)))
    torch.testing.assert_close(both.gain[:8], (long.gain[:8] * short.gain).sqrt(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(both.gain[8:], long.gain[8:], rtol=1e-12, atol=1e-12)


# Closed forms


def permutation(size: int) -> Tensor:
    """An orthogonal matrix that keeps every unit positive."""
    return torch.eye(size, dtype=torch.float64)[torch.randperm(size)]


def linear_rnn(weight: Tensor) -> nn.RNN:
    """A ReLU network kept where its slope is one: h ← W h, exactly."""
    module = nn.RNN(1, len(weight), nonlinearity="relu").double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(weight)
        module.weight_ih_l0.zero_()
        module.bias_ih_l0.fill_(1e3)
        module.bias_hh_l0.zero_()
    return module


def test_a_scaled_orthogonal_matrix_keeps_rho_to_the_lag():
    torch.manual_seed(0)
    curve = retention(linear_rnn(0.9 * permutation(16)), torch.zeros(40, 2, 1).double())["RNN/layer0/forward"]
    torch.testing.assert_close(curve.gain, 0.9 ** torch.arange(40.0).double(), rtol=1e-12, atol=0)
    assert curve.rate == pytest.approx(math.log(0.9), rel=1e-12)
    assert curve.half_life == pytest.approx(6.5788, abs=1e-4)
    assert curve.decades_lost(20) == pytest.approx(-20 * math.log10(0.9), rel=1e-12)


def test_a_gradient_can_grow_although_every_eigenvalue_is_below_one():
    weight = torch.tensor([[0.5, 10.0], [0.0, 0.5]], dtype=torch.float64)
    curve = retention(linear_rnn(weight), torch.zeros(60, 1, 1).double())["RNN/layer0/forward"]
    ones = torch.ones(2, dtype=torch.float64)
    exact = [torch.linalg.matrix_power(weight.T, k) @ ones for k in range(60)]
    torch.testing.assert_close(curve.gain, torch.stack(exact).norm(dim=1) / 2**0.5, rtol=1e-12, atol=1e-15)
    assert curve.gain[1] > 7
    assert curve.gain[-1] < 1e-10


def test_a_scalar_tanh_unit_forgets_faster_as_its_weight_grows():
    """At its fixed point h = tanh(w h) a step keeps w (1 - h²): saturation is then the cause, not the weight."""
    rates = []
    for w in (1.5, 2.0, 3.0):
        module = nn.RNN(1, 1, bias=False).double()
        nn.init.constant_(module.weight_hh_l0, w)
        h = torch.ones(1, 1, 1, dtype=torch.float64)
        for _ in range(500):
            h = torch.tanh(w * h)
        curve = retention(module, (torch.zeros(20, 1, 1).double(), h))["RNN/layer0/forward"]
        assert curve.rate == pytest.approx(math.log(w * (1 - h.item() ** 2)), rel=1e-9)
        rates.append(curve.rate)
    assert rates == sorted(rates, reverse=True)


def test_an_lstm_without_recurrent_weights_keeps_its_forget_gate_in_c_and_nothing_in_h():
    module = nn.LSTM(1, 5).double()
    with torch.no_grad():
        module.weight_hh_l0.zero_()
        module.weight_ih_l0.zero_()
        module.bias_ih_l0[5:10] = 1.5  # torch has two biases, they add up
        module.bias_hh_l0[5:10] = 0.7
    x = torch.zeros(30, 2, 1).double()
    curve = retention(module, x, loss=lambda returned: returned[1][1].sum())["LSTM/layer0/forward"]
    gate = 1 / (1 + math.exp(-2.2))
    torch.testing.assert_close(curve.part("c").gain, gate ** torch.arange(30.0).double(), rtol=1e-12, atol=0)
    assert torch.equal(curve.part("h").gain, torch.zeros(30).double())
    assert curve.rate == pytest.approx(math.log(gate), rel=1e-12)
    both = retention(module, x)["LSTM/layer0/forward"]  # reads h too: an entry cost at lag 1, then the same slope
    assert both.rate == pytest.approx(math.log(gate), rel=1e-12)
    assert both.part("h").gain[0] > 0
    assert not both.part("h").gain[1:].any()


@pytest.mark.parametrize("end", [0, -1])
def test_a_layer_that_is_fed_on_the_way_does_not_explode(end):
    """Two directions, read at one end: next to nothing comes to the other end of the lower layer, and all on its way."""
    module = nn.RNN(1, 4, num_layers=2, bidirectional=True, nonlinearity="relu")
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(0.5 * torch.eye(4) if "weight_hh" in name else torch.full_like(weight, 0.1))

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = module

        def forward(self, x):
            return self.rnn(x)[0][end]

    curves = retention(Reader(), torch.zeros(30, 2, 1))
    far, near = (
        f"rnn/layer0/{direction}" for direction in (("forward", "reverse") if end == 0 else ("reverse", "forward"))
    )
    assert curves[far].gain[-1] > 1e6
    torch.testing.assert_close(curves[far].alone.gain, 0.5 ** torch.arange(30.0).double(), rtol=1e-5, atol=0)
    assert (curves[far].verdict, curves[far].joined, curves[far].reach) == ("vanishing", True, 9)
    assert (curves[near].verdict, curves[near].alone) == ("vanishing", None)
    assert [curve.verdict for name, curve in curves.items() if "layer1" in name] == (
        ["nothing to carry", "vanishing"] if end == 0 else ["vanishing", "nothing to carry"]
    )
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(2 * torch.eye(4) if "weight_hh" in name else weight)
    assert {retention(Reader(), torch.zeros(30, 2, 1))[name].verdict for name in (far, near)} == {"exploding"}


def test_a_gru_keeps_its_update_gate():
    module = nn.GRU(1, 4).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
        module.bias_hh_l0[4:8] = 2.0
    curve = retention(module, torch.zeros(9, 2, 1).double())["GRU/layer0/forward"]
    torch.testing.assert_close(curve.gain, (1 / (1 + math.exp(-2.0))) ** torch.arange(9.0).double())


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_default_torch_forgets_in_one_or_two_steps(kind):
    torch.manual_seed(0)
    (curve,) = retention(getattr(nn, kind)(8, 64), torch.randn(60, 16, 8)).values()
    assert 1.0 < curve.half_life < 2.0
    assert curve.verdict == "vanishing"


# Zeros and what lies below resolution


def test_a_cut_is_an_exact_zero():
    """Truncated backpropagation: beyond the window nothing passes."""

    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(1, 4)

        def forward(self, x):
            _, (h, c) = self.lstm(x[:5])
            output, _ = self.lstm(x[5:], (h.detach(), c.detach()))
            return output[-1]

    curves = retention(Windows(), torch.randn(9, 2, 1))
    assert list(curves) == ["lstm/layer0/forward", "lstm (call 2)/layer0/forward"]
    first, second = curves.values()
    assert first.verdict == "not read"
    assert len(second.gain) == 4
    assert second.gain.min() > 0

    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = Recurrent(CutCell, 1, 4)

        def forward(self, x):
            return self.rnn(x)[0][-1]

    (curve,) = retention(Cut(), torch.ones(9, 2, 1)).values()
    assert curve.gain[:3].min() > 0
    assert not curve.gain[3:].any()
    assert curve.verdict == "vanishing"


class CutCell(cells.Elman):
    """Elman that cuts the gradient where its input says so."""

    def forward(self, x, state):
        self.seen = getattr(self, "seen", 0) + 1
        return super().forward(x, (state[0].detach(),) if self.seen == 7 else state)


def test_single_precision_that_underflows_is_measured_in_double():
    torch.manual_seed(0)
    module = nn.RNN(2, 16)
    x = torch.randn(400, 2, 2)
    (single,) = retention(module, x).values()
    (double,) = retention(module.double(), x.double()).values()
    assert single.gain[-1] < 1e-80
    torch.testing.assert_close(single.gain, double.gain, rtol=1e-3, atol=0)


def test_what_double_cannot_hold_is_below_resolution_never_zero():
    (curve,) = retention(linear_rnn(1e-3 * torch.eye(2).double()), torch.zeros(150, 1, 1).double()).values()
    assert curve.gain[:90].min() > 0
    assert curve.gain[100:].isnan().all()
    assert curve.verdict == "vanishing"
    assert curve.rate == pytest.approx(math.log(1e-3), rel=1e-9)
    assert "below resolution" in str(curve)


def test_rates_of_curves_too_short_to_fit():
    module = nn.RNN(1, 3)
    (one,) = retention(module, torch.zeros(1, 1, 1)).values()
    assert math.isnan(one.rate)
    assert one.verdict == "nothing to carry"
    (two,) = retention(module, torch.zeros(2, 1, 1)).values()
    assert two.rate == pytest.approx(math.log(two.gain[1]))
    nn.init.zeros_(module.weight_hh_l0)
    (dead,) = retention(module, torch.zeros(5, 1, 1)).values()
    assert dead.rate == -math.inf
    assert dead.half_life == 0
    assert dead.decades_lost(1) == math.inf
    with pytest.raises(ValueError, match="lags 0 to 4, got 5"):
        dead.decades_lost(5)
    with pytest.raises(ValueError, match="parts h, got 'c'"):
        dead.part("c")
