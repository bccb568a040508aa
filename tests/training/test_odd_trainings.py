"""RetentionMonitor on odd batches and ways of training: the training is bit for bit the one without it, and what is left out is said."""

import random
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from monitored_training import GRU, STEPS, WIDTH, LoopOfCells, Plain, assert_unchanged_and_said, batches
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import CombinedLoader
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset


class SkipsNan(Plain):
    def data(self):
        made = batches()
        made[1][0, 3] = torch.nan
        return made

    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        return loss if loss.isfinite() else None


class Infinite(SkipsNan):
    def data(self):
        made = batches()
        made[0][0, 3] = torch.inf
        return made


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


class Broken(Logger):
    name, version = "broken", 0

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if any("retention" in name for name in metrics):
            raise ConnectionError("nobody there")


class BrokenLogger(Plain):
    options: ClassVar = {"logger": Broken()}


CASES = {
    SkipsNan: ("", GRU),  # without a backward pass there is nothing to measure
    Infinite: ("", GRU),
    DictBatch: ("", ["cell"]),
    DataclassBatch: ("", ["cell"]),
    TwoOptimisers: ("", GRU),
    PastTheTrainer: (
        "PastTheTrainer is left out of what is measured after its first batch: no optimiser took a step",
        GRU,
    ),
    Accumulates: ("", GRU),
    Mixed: ("", GRU),
    ReturnsNoneAtTimes: ("", GRU),
    Empty: ("", GRU),
    SeveralLoaders: ("", GRU),
    TwoEpochs: ("", GRU),
    Stream: ("", GRU),
    Shuffled: ("", ["cell"]),
    BrokenLogger: ("Broken is left out of what is measured: ConnectionError: nobody there", None),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_the_training_is_the_same_and_what_is_left_out_is_said_once(kind):
    assert_unchanged_and_said(kind, *CASES[kind])
