"""RetentionMonitor on odd models: the training is bit for bit the one without it, and what is left out is said."""

import random

import pytest
import torch
from monitored_training import GRU, WIDTH, LoopOfCells, Plain, assert_unchanged_and_said
from pytorch_lightning import LightningModule
from torch import nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import Recurrent, cells
from rnnvanish.mitigations import Zoneout


class NanWeights(Plain):
    def build(self):
        super().build()
        with torch.no_grad():
            self.layer.weight_hh_l0[0, 0] = torch.nan


class OtherArguments(Plain):
    class Layer(nn.LSTM):
        def forward(this, *, sequence, scale=1.0):
            return super().forward(sequence * scale)

    def build(self):
        self.layer = self.Layer(2, WIDTH, batch_first=True)

    def forward(self, x):
        return self.layer(sequence=x, scale=2.0)[0][:, -1]


class PacksByItself(Plain):
    class Layer(nn.LSTM):
        def forward(self, x, lengths):
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return pad_packed_sequence(super().forward(packed)[0], batch_first=True)[0]

    def build(self):
        self.layer = self.Layer(2, WIDTH, batch_first=True)

    def forward(self, x):
        return self.layer(x, torch.tensor([12, 5, 7, 9])).mean(1)


class LoopInTrainingStep(LoopOfCells):
    """Its forward is not the one that is trained, and nothing that holds the cell is called."""

    def forward(self, words, lengths, more):
        raise NotImplementedError

    def loss(self, batch):
        return (LoopOfCells.forward(self, batch[0]) - batch[1]).square().mean()


class LoopInside(LoopOfCells):
    """The loop stands in a module of its own, which training_step calls; the model has no forward."""

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.norm = nn.LSTMCell(2, WIDTH), nn.BatchNorm1d(2)

        def forward(self, x, *, twice):
            state = None
            for now in x.unbind(1):
                state = self.cell(self.norm(now) * twice, state)
            return state[0]

    forward = LightningModule.forward

    def build(self):
        self.reader = self.Reader()

    def loss(self, batch):
        return (self.reader(batch[0], twice=2.0) - batch[1]).square().mean()


class RaggedZoneout(Plain):
    def build(self):
        self.layer = Zoneout(0.1)(Recurrent(cells.GRU, 2, WIDTH, batch_first=True))

    def forward(self, x):
        return self.layer(x, lengths=torch.tensor([12, 5, 7, 9]))[0].sum(1)


class WeightDrop(Plain):
    """The old style: the parameter is taken out, and set as an attribute before `forward` is called directly."""

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.LSTM(2, WIDTH, batch_first=True)
            self.raw = nn.Parameter(self.module.weight_hh_l0.detach().clone())
            del self.module._parameters["weight_hh_l0"]
            self.module.weight_hh_l0 = self.raw.detach().clone()

        def forward(self, *args):
            self.module.weight_hh_l0 = dropout(self.raw, 0.5, self.training)
            self.module._flat_weights = [getattr(self.module, name) for name in self.module._flat_weights_names]
            return self.module.forward(*args)

    def build(self):
        self.layer = self.Layer()


class Stateful(Plain):
    def build(self):
        super().build()
        self.state = None

    def forward(self, x):
        output, state = self.layer(x, self.state)
        self.state = state.detach()
        return output[:, -1]


class NotRecurrent(Plain):
    def build(self):
        self.layer = nn.Linear(2, WIDTH)

    def forward(self, x):
        return self.layer(x).sum(1)


class OnlyOnce(LoopOfCells):
    """Consumes a stream of its own; a second run would use it up."""

    def build(self):
        super().build()
        self.noise = (torch.randn(()) for _ in range(100))

    def forward(self, x):
        return super().forward(x + next(self.noise))


class Remembers(LoopOfCells):
    """Counts, keeps outputs and logs in its forward; an object that is no module changes too."""

    def build(self):
        super().build()
        self.calls, self.kept, self.own = 0, [], random.Random(0)

    def forward(self, x):
        self.calls += 1
        out = super().forward(x) * self.calls * self.own.random()
        self.kept.append(out.detach())
        self.log("seen", self.calls + 0.0, on_epoch=True, batch_size=1)
        return out


class LongCompiled(Plain):
    compiles = True

    def data(self):
        return [torch.randn(16, 80, 2) for _ in range(3)]

    def build(self):
        self.layer = Recurrent(cells.LSTM, 2, 8, batch_first=True)


class Hooked(Plain):
    """Gradients that a user's own hooks change and count."""

    def build(self):
        super().build()
        self.grads = []
        self.layer.weight_hh_l0.register_hook(lambda grad: self.grads.append(grad.norm()) or grad.clamp(-0.01, 0.01))


CASES = {
    NanWeights: ("NanWeights is not measured: the gradient that comes back to it is nan or infinite", []),
    OtherArguments: ("", GRU),
    PacksByItself: ("", GRU),
    LoopOfCells: ("", ["cell"]),
    LoopInTrainingStep: ("", ["cell"]),
    LoopInside: ("", ["reader.cell"]),
    RaggedZoneout: ("", GRU),
    WeightDrop: ("", ["layer.module/layer0/forward"]),
    Stateful: ("", GRU),
    NotRecurrent: ("NotRecurrent is not measured: watch needs a recurrent layer", []),
    OnlyOnce: ("OnlyOnce is not measured: OnlyOnce.noise, a generator, cannot be copied", []),
    Remembers: ("", ["cell"]),
    LongCompiled: ("", GRU),
    Hooked: ("", GRU),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_the_training_is_the_same_and_what_is_left_out_is_said_once(kind):
    assert_unchanged_and_said(kind, *CASES[kind])
