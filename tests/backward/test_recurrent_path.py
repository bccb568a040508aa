"""Losses that read every step, averages over batches, and measuring in segments, each against the explicit thing."""

import math
import weakref
from collections import Counter

import pytest
import torch
from pytorch_lightning import LightningModule
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, TensorDataset

from rnnvanish import Recurrent, cells
from rnnvanish.numerics.interval import confidence_interval, student_quantile
from rnnvanish.probes import retention

TIME, BATCH, INPUT, HIDDEN = 7, 3, 2, 4


def same(one, other):
    torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12, equal_nan=True)


class Tagger(nn.Module):
    """A label for every step, from a layer or from a loop of a cell."""

    def __init__(self, kind="layer"):
        super().__init__()
        self.kind = kind
        self.layer, self.head = nn.GRU(INPUT, HIDDEN), nn.Linear(HIDDEN, 5)
        self.cell = nn.GRUCell(INPUT, HIDDEN)
        self.cell.load_state_dict({name.removesuffix("_l0"): w for name, w in self.layer.state_dict().items()})

    def forward(self, x):
        if self.kind == "layer":
            return self.head(self.layer(x)[0])
        h, outputs = x.new_zeros(x.shape[1], HIDDEN), []
        for now in x:
            h = self.cell(now, h)
            outputs.append(self.head(h))
        return torch.stack(outputs)


def by_hand(model, x, losses, lengths):
    """A loop in which each step's loss is taken by itself: of each sequence, (came in, passed back) at every step.

    What came in at step t is the derivative of the loss of step t alone by the state after it; what is passed back, that
    of all later losses.
    """
    split = []
    for row, length in enumerate(lengths):
        h, states, values = x.new_zeros(HIDDEN), [], []
        for t in range(length):
            h = model.cell(x[t, row], h)
            states.append(h)
            values.append(losses(model.head(h), t, row))
        came_in = [torch.autograd.grad(v, s, retain_graph=True)[0].norm() for v, s in zip(values, states, strict=True)]
        passed = [
            torch.autograd.grad(sum(values[t + 1 :]), states[t], retain_graph=True)[0]
            if t + 1 < length
            else h.new_zeros(HIDDEN)
            for t in range(length)
        ]
        total = [torch.autograd.grad(sum(values), s, retain_graph=True)[0].norm() for s in states]
        alone = [torch.autograd.grad(values[-1], s, retain_graph=True)[0].norm() for s in states]
        split.append([each[::-1] for each in (came_in, [p.norm() for p in passed], total, alone)])
    lags = range(max(lengths))

    def mean(of):
        return torch.stack([torch.stack([of(*each, k) for each in split if k < len(each[0])]).mean() for k in lags])

    share = mean(lambda came_in, passed, total, alone, k: came_in[k] / (came_in[k] + passed[k]))
    gain = mean(lambda came_in, passed, total, alone, k: (total[k] / total[0]).log()).exp()
    journey = mean(lambda came_in, passed, total, alone, k: (alone[k] / alone[0]).log()).exp()
    return share, gain, journey


@pytest.mark.parametrize("kind", ["layer", "cell"])
def test_what_came_in_and_what_travelled(kind):
    torch.manual_seed(0)
    model, x, y = Tagger(kind).double(), torch.randn(TIME, BATCH, INPUT).double(), torch.randint(5, (TIME, BATCH))
    (curve,) = retention(model, x, loss=lambda output: cross_entropy(output.flatten(0, 1), y.flatten())).values()
    share, gain, journey = by_hand(model, x, lambda o, t, row: cross_entropy(o, y[t, row]), [TIME] * BATCH)
    same(curve.injected, share)
    same(curve.gain, gain)
    same(curve.journey.gain, journey)
    assert curve.injected[0] == 1
    assert 0.1 < curve.injected[1:].min() < curve.injected[1:].max() < 1
    assert curve.journey.gain[-1] < curve.gain[-1]  # a flat curve of the total hides what is lost on the way


def test_each_sequence_is_counted_from_its_own_end():
    torch.manual_seed(0)
    model, x, lengths = Tagger().double(), torch.randn(TIME, BATCH, INPUT).double(), [7, 5, 2]
    packed = pack_padded_sequence(x, lengths)
    loss = lambda returned: model.head(returned[0].data).square().sum()
    (curve,) = retention(model.layer, packed, loss=loss).values()
    share, gain, journey = by_hand(model, x, lambda o, t, row: o.square().sum(), lengths)
    same(curve.injected, share)
    same(curve.gain, gain)
    same(curve.journey.gain, journey)


def test_a_loss_of_the_end_injects_nothing_on_the_way():
    model, x = Tagger().double(), torch.randn(TIME, BATCH, INPUT).double()
    (curve,) = retention(model, x, loss=lambda output: output[-1].sum()).values()
    assert curve.injected.tolist() == [1, *[0] * (TIME - 1)]
    same(curve.journey.gain, curve.gain)
    assert next(iter(retention(model, x).values())).injected is None


class Lit(LightningModule):
    def __init__(self):
        super().__init__()
        self.tagger = Tagger()

    def forward(self, x):
        return self.tagger(x)

    def training_step(self, batch, index):
        x, y = batch
        return {"loss": mse_loss(self(x), y)}


def test_the_loss_may_read_the_batch_or_be_the_models_own():
    torch.manual_seed(0)
    model, x, y = Lit().double(), torch.randn(TIME, BATCH, INPUT).double(), torch.randn(TIME, BATCH, 5).double()
    (named,) = retention(model, x, loss=lambda output: mse_loss(output, y)).values()
    (given,) = retention(model, (x, y), loss=lambda output, batch: mse_loss(output, batch[1])).values()
    (own,) = retention(model, (x, y), loss="training_step").values()
    for curve in (given, own):
        same(curve.gain, named.gain)
        same(curve.injected, named.injected)
    with pytest.raises(ValueError, match="Lit has no method 'training_stop'"):
        retention(model, (x, y), loss="training_stop")


# Inputs


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(INPUT, HIDDEN, batch_first=True)

    def forward(self, x, scale=None):
        return self.layer(x if scale is None else x * scale)[0][:, -1]


class OneMapping(Two):
    def forward(self, batch):
        return super().forward(batch["x"], batch["scale"])


def test_every_form_of_inputs():
    torch.manual_seed(0)
    model, x, scale = Two().double(), torch.randn(BATCH, TIME, INPUT).double(), torch.tensor(2.0).double()
    (expected,) = retention(model, (x, scale)).values()
    (mapping,) = retention(model, {"x": x, "scale": scale, "labels": torch.zeros(BATCH)}).values()
    (batch,) = retention(model, (x, scale, torch.zeros(BATCH))).values()
    whole = OneMapping().double()
    whole.load_state_dict(model.state_dict())
    (single,) = retention(whole, {"x": x, "scale": scale}).values()
    for curve in (mapping, batch, single):
        same(curve.gain, expected.gain)


# Batches


def loader(sizes=(4, 4, 3), batch_size=4):
    torch.manual_seed(1)
    x = torch.randn(sum(sizes), TIME, INPUT).double()
    return x, DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=batch_size, generator=torch.Generator())


def test_batches_are_averaged_with_an_interval():
    x, batches = loader()
    model = Recurrent(cells.LSTM, INPUT, HIDDEN, batch_first=True).double()
    read_last = lambda returned: returned[0][:, -1].sum()
    (curve,) = retention(model, batches, loss=read_last).values()
    each = [retention(model, part, loss=read_last)["Recurrent/layer0/forward"] for part in x.split(4)]
    logs = torch.stack([one.gain.log() for one in each])
    same(curve.gain, logs.mean(0).exp())
    half = 4.302652729911275 * logs.std(0) / math.sqrt(3)  # Student's t of two degrees of freedom
    torch.testing.assert_close(curve.low, (logs.mean(0) - half).exp(), rtol=1e-9, atol=0)
    torch.testing.assert_close(curve.high, (logs.mean(0) + half).exp(), rtol=1e-9, atol=0)
    same(curve.part("c").gain, torch.stack([one.part("c").gain.log() for one in each]).mean(0).exp())
    assert curve.rates == tuple(one.rate for one in each)
    low, high = curve.rate_interval
    assert low < curve.rate < high
    assert each[0].low is None
    assert each[0].rate_interval is None
    same(curve.injected, torch.stack([one.injected for one in each]).mean(0))
    same(curve.journey.gain, curve.gain)


def test_a_loader_is_sampled_and_left_as_it_was():
    x, batches = loader()
    model = Two().double()
    before, state = batches.generator.get_state(), torch.get_rng_state()
    (two,) = retention(model, batches, batches=2).values()
    assert len(two.rates) == 2
    assert torch.equal(batches.generator.get_state(), before)
    assert torch.equal(torch.get_rng_state(), state)
    (one,) = retention(model, batches, batches=1).values()
    same(one.gain, retention(model, x[:4])["layer/layer0/forward"].gain)
    with pytest.raises(ValueError, match="At least one batch has to be measured, got batches=0"):
        retention(model, batches, batches=0)
    with pytest.raises(ValueError, match="DataLoader has no batch"):
        retention(model, DataLoader([]))


def test_a_lag_is_averaged_over_the_batches_that_reach_it():
    torch.manual_seed(0)
    model = Two().double()
    parts = [torch.randn(2, time, INPUT).double() for time in (7, 4, 6)]
    batches = DataLoader(parts, batch_size=None)
    (curve,) = retention(model, batches).values()
    each = [retention(model, part)["layer/layer0/forward"].gain for part in parts]
    assert len(curve.gain) == 7
    same(curve.gain[:4], torch.stack([gain[:4] for gain in each]).log().mean(0).exp())
    same(curve.gain[4:6], (each[0][4:6] * each[2][4:]).sqrt())
    same(curve.gain[6], each[0][6])
    assert curve.low[6].isnan()


def test_students_quantiles():
    """From printed tables."""
    for freedom, quantile in {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 30: 2.042}.items():
        assert student_quantile(freedom) == pytest.approx(quantile, abs=5e-4)
    low, high = confidence_interval(torch.tensor([[1.0, torch.nan], [2.0, 5.0]]))
    assert low[1].isnan()
    assert high[0] > 2


# Segments


class Memory(TorchDispatchMode):
    """Bytes of all tensors that are alive at once, at their most; recomputed ones, too."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.alive = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        output = function(*args, **kwargs or {})
        for tensor in tree_leaves(output):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.count(storage._cdata, storage.nbytes(), 1)
                weakref.finalize(tensor, self.count, storage._cdata, storage.nbytes(), -1)
        return output

    def count(self, storage, size, change):
        before = self.alive[storage]
        self.alive[storage] += change
        self.now += size * ((self.alive[storage] > 0) - (before > 0))
        self.most = max(self.most, self.now)


@pytest.mark.parametrize("kind", ["layer", "packed", "Recurrent", "cell"])
def test_segments_give_the_same_numbers(kind):
    torch.manual_seed(0)
    x = torch.randn(13, BATCH, INPUT).double()
    model = {
        "layer": nn.LSTM(INPUT, HIDDEN, num_layers=2, bidirectional=True),
        "packed": nn.LSTM(INPUT, HIDDEN, num_layers=2, bidirectional=True),
        "Recurrent": Recurrent(cells.LSTM, INPUT, HIDDEN),
        "cell": Tagger("cell"),
    }[kind].double()
    inputs = pack_padded_sequence(x, [13, 9, 3]) if kind == "packed" else x
    whole = retention(model, inputs)
    for name, curve in retention(model, inputs, segment=4).items():
        assert torch.equal(curve.gain, whole[name].gain)
    with pytest.raises(ValueError, match="segment=0"):
        retention(model, inputs, segment=0)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.LSTMCell])
def test_segments_need_less_memory(kind):
    model = Loop(kind(INPUT, 64)).double()
    x, peaks = torch.randn(64, 2, INPUT).double(), []
    for segment in (None, 8):
        with Memory() as memory:
            retention(model, x, segment=segment)
        peaks.append(memory.most)
    assert peaks[1] < 0.9 * peaks[0], peaks  # states, what is read of them, and their gradients stay


class Loop(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        if isinstance(self.module, nn.LSTM):
            return self.module(x)[0][-1]
        state = None
        for now in x:
            state = self.module(now, state)
        return state[0]
