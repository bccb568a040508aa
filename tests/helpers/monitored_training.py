"""A training with the monitor and without, held against each other; two models for others to differ from in one thing."""

import random
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.loggers import Logger
from torch import nn
from torch.utils.data import DataLoader

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


def assert_unchanged_and_said(kind, said, logged):
    """The training is bit for bit the one without the monitor; what is left out of what is measured is said once."""
    if getattr(
        kind, "compiles", False
    ):  # the first time compiles, and annotations that are checked meanwhile draw numbers
        fit(kind)
    plain, _, _ = fit(kind)
    monitor = RetentionMonitor(1)
    watched, metrics, hooks = fit(kind, monitor)
    assert_same(watched, plain)
    assert not hooks
    complaints = monitor.problems
    assert len(complaints) == len(set(complaints))
    if said is not None:
        assert len(complaints) == bool(said), complaints
        assert all(complaint.startswith(said) for complaint in complaints), complaints
    if logged is not None:
        assert sorted({name.rpartition("/")[0] for name in metrics if "retention" in name}) == [
            f"retention/{layer}" for layer in logged
        ]
    assert complaints or any("retention" in name for name in metrics)
