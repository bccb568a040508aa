"""RetentionMonitor on odd models and batches: the training is bit for bit the one without it, and what is left out is said."""

import random
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import CombinedLoader
from torch import nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from rnnvanish import Recurrent, cells
from rnnvanish.mitigations import Zoneout
from rnnvanish.training.monitor import RetentionMonitor

STEPS, WIDTH = 12, 3


def batches(count=5, size=4):
    return [torch.randn(size, STEPS, 2) for _ in range(count)]


class Plain(LightningModule):
    """Reads a batch by `self.layer`; subclasses change one thing."""

    data = staticmethod(batches)

    def __init__(self):
        super().__init__()
        self.build()
        self.losses = []

    def build(self):
        self.layer = nn.GRU(2, WIDTH, batch_first=True)

    def forward(self, x):
        return self.layer(x)[0][:, -1]

    def loss(self, batch):
        return self(batch).square().mean()

    def training_step(self, batch, index):
        loss = self.loss(batch)
        self.losses.append(loss.detach().clone())
        return loss

    def train_dataloader(self):
        return DataLoader(self.data(), batch_size=None)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


class SkipsNan(Plain):
    def data(self):
        made = batches()
        made[1][0, 3] = torch.nan
        return made

    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        return loss if loss.isfinite() else None


class NanWeights(Plain):
    def build(self):
        super().build()
        with torch.no_grad():
            self.layer.weight_hh_l0[0, 0] = torch.nan


class Infinite(SkipsNan):
    def data(self):
        made = batches()
        made[0][0, 3] = torch.inf
        return made


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


class LoopOfCells(Plain):
    def data(self):
        return [[x, torch.ones(len(x), WIDTH)] for x in batches()]

    def build(self):
        self.cell = nn.GRUCell(2, WIDTH)
        self.norm = nn.BatchNorm1d(WIDTH)

    def forward(self, x):
        h = x.new_zeros(len(x), WIDTH)
        for now in x.unbind(1):
            h = self.norm(self.cell(now, h))
        return h.exp()  # the sum of what is normalised is the same, whatever it is

    def loss(self, batch):
        x, y = batch
        return (self(x) - y).square().mean()


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


class DictBatch(LoopOfCells):
    def data(self):
        return [{"x": x, "y": torch.ones(len(x), WIDTH), "name": "some"} for x in batches()]

    def loss(self, batch):
        return (self(batch["x"]) - batch["y"]).square().mean()


@dataclass
class Made:
    x: torch.Tensor
    y: torch.Tensor


class DataclassBatch(LoopOfCells):
    def data(self):
        return [Made(x, torch.ones(len(x), WIDTH)) for x in batches()]

    def forward(this, batch):
        return super().forward(batch.x)

    def loss(self, batch):
        return (self(batch) - batch.y).square().mean()


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


class TwoOptimisers(Plain):
    automatic_optimization = False

    def build(self):
        super().build()
        self.head = nn.Linear(WIDTH, 1)

    def training_step(self, batch, index):
        for optimiser in self.optimizers():
            loss = self.head(self(batch)).square().mean()
            optimiser.zero_grad()
            self.manual_backward(loss)
            optimiser.step()
            self.losses.append(loss.detach().clone())

    def configure_optimizers(self):
        return torch.optim.SGD(self.layer.parameters(), 0.1), torch.optim.Adam(self.head.parameters(), 0.1)


class PastTheTrainer(TwoOptimisers):
    def optimizers(self):
        return super().optimizers(use_pl_optimizer=False)


class Accumulates(Plain):
    options: ClassVar = {"accumulate_grad_batches": 2}


class Mixed(Plain):
    options: ClassVar = {"precision": "bf16-mixed"}


class ReturnsNoneAtTimes(Plain):
    def training_step(self, batch, index):
        return super().training_step(batch, index) if index % 2 else None


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


class Empty(Plain):
    def data(self):
        return [torch.randn(0, STEPS, 2), *batches(2)]

    def loss(self, batch):
        return self(batch).square().sum()


class SeveralLoaders(Plain):
    """A batch is a dictionary of the loaders' batches; Lightning passes the loader's place where it is asked for."""

    def loss(self, batch):
        return super().loss(batch["a"]) + super().loss(batch["b"])

    def train_dataloader(self):
        return CombinedLoader({name: DataLoader(batches(3), batch_size=None) for name in "ab"}, "max_size_cycle")


class TwoEpochs(Plain):
    """Validates in between, with a loader's place among the arguments."""

    options: ClassVar = {"max_epochs": 2}

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.losses.append(self.loss(batch))

    def val_dataloader(self):
        return [DataLoader(batches(1), batch_size=None) for _ in range(2)]


class Stream(Plain):
    class Numbers(IterableDataset):
        def __iter__(self):
            yield from batches()

    def data(self):
        return self.Numbers()


class Shuffled(LoopOfCells):
    """Batches drawn by the loader from torch's generator, teacher forcing by Python's, noise by numpy's."""

    def forward(self, x):
        h = super().forward(x * float(np.random.rand()))  # noqa: NPY002  # the global one, which users draw from
        return h if random.random() < 0.5 else -h

    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.randn(20, STEPS, 2), torch.ones(20, WIDTH)), batch_size=4, shuffle=True)


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


class Broken(Logger):
    name, version = "broken", 0

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if any("retention" in name for name in metrics):
            raise ConnectionError("nobody there")


class BrokenLogger(Plain):
    options: ClassVar = {"logger": Broken()}


class SeenLogger(Logger):
    """Keeps what is logged."""

    name, version = "seen", 0

    def __init__(self):
        super().__init__()
        self.metrics = {}

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            self.metrics.setdefault(name, []).append((step, value))


#: For each model what is said of what is left out, and the layers that are logged.
GRU = ["layer/layer0/forward"]
CASES = {
    SkipsNan: ("layer is left out of what is measured: ValueError: The input", GRU),
    NanWeights: ("layer is left out of what is measured: ValueError: The parameter", []),
    Infinite: ("layer is left out of what is measured: ValueError", GRU),
    OtherArguments: ("", GRU),
    PacksByItself: ("", GRU),
    LoopOfCells: ("", ["cell"]),
    LoopInTrainingStep: ("cell is left out of what is measured: its loop runs outside of every module's forward", []),
    LoopInside: ("", ["reader.cell"]),
    DictBatch: ("", ["cell"]),
    DataclassBatch: ("", ["cell"]),
    RaggedZoneout: ("", GRU),
    WeightDrop: ("", ["layer.module/layer0/forward"]),
    TwoOptimisers: ("", GRU),
    PastTheTrainer: ("PastTheTrainer is left out of what is measured: no optimiser took a step", []),
    Accumulates: ("", GRU),
    Mixed: ("", GRU),
    ReturnsNoneAtTimes: ("", GRU),
    Stateful: ("", GRU),
    NotRecurrent: ("NotRecurrent is left out of what is measured: it has no recurrent layer.", []),
    OnlyOnce: ("cell is left out of what is measured: ValueError: OnlyOnce can only be measured in a copy", []),
    Empty: ("layer is left out of what is measured: ValueError: ", GRU),
    SeveralLoaders: ("", GRU),
    TwoEpochs: ("", GRU),
    Stream: ("", GRU),
    Shuffled: ("", ["cell"]),
    Remembers: ("", ["cell"]),
    LongCompiled: ("", GRU),
    Hooked: ("", GRU),
    BrokenLogger: ("Broken is left out of what is measured: ConnectionError: nobody there", None),
}


def fit(kind, *callbacks):
    """Train with a seed; everything that must not depend on being watched, bit for bit."""
    seed_everything(0, verbose=False)
    model, logger = kind(), SeenLogger()
    options = {"max_epochs": 1, "logger": logger, **getattr(model, "options", {})}
    Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    ).fit(model)
    draws = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    own = {name: value for name, value in logger.metrics.items() if "retention" not in name}
    kept = [getattr(model, name, None) for name in ("losses", "state", "calls", "kept", "grads")]
    hooks = [module for module in model.modules() if module._forward_pre_hooks or "forward" in vars(module)]
    return (kept, model.state_dict(), grads, draws, own), logger.metrics, hooks


def assert_same(ours, theirs):
    if isinstance(ours, torch.Tensor):
        assert ours.equal(theirs) or ours.nan_to_num(1.5).equal(theirs.nan_to_num(1.5))
    elif isinstance(ours, dict | list | tuple):
        assert len(ours) == len(theirs)
        pairs = (
            zip(ours.items(), theirs.items(), strict=True) if isinstance(ours, dict) else zip(ours, theirs, strict=True)
        )
        for pair in pairs:
            assert_same(*pair)
    else:
        assert ours == theirs


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_the_training_is_the_same_and_what_is_left_out_is_said_once(kind):
    said, logged = CASES[kind]
    if kind is LongCompiled:  # the first time compiles, and annotations that are checked meanwhile draw numbers
        fit(kind)
    plain, _, _ = fit(kind)
    monitor = RetentionMonitor(1)
    watched, metrics, hooks = fit(kind, monitor)
    assert_same(watched, plain)
    assert not hooks
    complaints = [alert for alert in monitor.alerts if "left out" in alert]
    assert len(complaints) == len(set(complaints))
    if said is not None:
        assert len(complaints) == bool(said), complaints
        assert all(complaint.startswith(said) for complaint in complaints), complaints
    if logged is not None:
        assert sorted({name.rpartition("/")[0] for name in metrics if "retention" in name}) == [
            f"retention/{layer}" for layer in logged
        ]
    assert complaints or any("retention" in name for name in metrics)
