"""RetentionMonitor beside what else steers a fit: checkpoints, early stopping, schedulers, loggers, several optimisers and processes."""

import csv
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger, wandb
from torch import nn
from torch.utils.data import DataLoader

from rnnvanish import RetentionMonitor
from rnnvanish.monitor.history import History

REACH = "retention/layer/layer0/forward/reach"


class Plain(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer, self.other = nn.GRU(2, 6, batch_first=True), nn.RNN(6, 6, batch_first=True)
        self.losses, self.rates = [], []

    def forward(self, x):
        return self.other(self.layer(x)[0])[0][:, -1]

    def training_step(self, batch, index):
        loss = self(batch).square().mean()
        self.losses.append(loss.item())
        return loss

    def train_dataloader(self):
        return DataLoader(torch.randn(16, 12, 2), batch_size=4)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class ByHand(Plain):
    """Two optimisers, one of which steps every second time."""

    automatic_optimization = False

    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        first, second = self.optimizers()
        self.manual_backward(loss / 2)
        second.step()
        second.zero_grad()
        if index % 2:
            first.step()
            first.zero_grad()

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), lr=0.1) for part in (self.layer, self.other)]


class OnPlateau(Plain):
    def configure_optimizers(self):
        rule = torch.optim.SGD(self.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(rule, "max", factor=0.5, patience=0, threshold=1e9)
        return {"optimizer": rule, "lr_scheduler": {"scheduler": scheduler, "monitor": REACH}}


def fit(model, *callbacks, folder=None, **options):
    seed_everything(0, verbose=False)
    model = model()
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    if not any(isinstance(each, ModelCheckpoint) for each in callbacks):
        quiet["enable_checkpointing"] = False
    trainer = Trainer(
        accelerator="cpu", callbacks=list(callbacks), default_root_dir=folder, **{"max_epochs": 3, **quiet, **options}
    )
    trainer.fit(model)
    return model, trainer


def test_checkpoints_early_stopping_and_schedulers_see_it(tmp_path):
    kept = ModelCheckpoint(tmp_path, monitor=REACH, mode="max", filename="best")
    stop = EarlyStopping(monitor=REACH, mode="max", patience=0, min_delta=1e9)
    monitor = RetentionMonitor(2)
    _, trainer = fit(OnPlateau, monitor, kept, stop)
    assert trainer.current_epoch == 2  # of three: it does not get better by a thousand million
    reached = [each.reach for each in monitor.history.of("layer/layer0/forward")]
    assert float(trainer.callback_metrics[REACH]) == reached[-1]
    assert float(kept.best_model_score) in reached
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0.05


def test_the_history_is_kept_without_a_logger_and_layers_choose():
    monitor = RetentionMonitor(5, layers=["other"])
    _, trainer = fit(Plain, monitor)
    assert repr(monitor.history) == "<History of Plain: 1 layer at 3 of the optimiser steps up to 10>"
    assert monitor.history.layers == ("other/layer0/forward",)
    assert {name.split("/")[1] for name in trainer.callback_metrics} == {"other"}
    with pytest.raises(ValueError, match=r"layers= names 'othr', .* Did you mean other\? There are: layer, other\."):
        fit(Plain, RetentionMonitor(layers=["othr"]))


@pytest.mark.parametrize(("model", "options"), [(ByHand, {}), (Plain, {"accumulate_grad_batches": 3})])
def test_by_hand_and_with_accumulation(model, options):
    monitor = RetentionMonitor(1)
    alone, _ = fit(model, **options)
    beside, _ = fit(model, monitor, **options)
    assert beside.losses == alone.losses
    assert len(monitor.history.layers) == 2
    assert not monitor.problems
    assert len(monitor.history.steps) > 3


class StandIn:
    """A run of Weights & Biases: keeps what Lightning's own logger hands to it."""

    def __init__(self):
        self.rows = []

    def log(self, row):
        self.rows.append(row)


def wandb_logger(run, monkeypatch):
    """Lightning's own, which needs nothing of the package but its run."""
    for name, held in {"wandb": {}, "wandb.sdk": {}, "wandb.sdk.lib": {"RunDisabled": StandIn}}.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**held))
    monkeypatch.setitem(sys.modules, "wandb.wandb_run", SimpleNamespace(Run=StandIn))
    monkeypatch.setattr(wandb, "_WANDB_AVAILABLE", True)
    return wandb.WandbLogger(experiment=run)


class Adversaries(Plain):
    """Two networks, each with a backward pass and an optimiser of its own in every batch."""

    automatic_optimization = False

    def training_step(self, batch, index):
        for part, rule in zip((self.layer, self.other), self.optimizers(), strict=True):
            loss = part(batch if part is self.layer else batch.repeat(1, 1, 3))[0][:, -1].square().mean()
            rule.zero_grad()
            self.manual_backward(loss)
            rule.step()
            self.losses.append(loss.item())

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), lr=0.1) for part in (self.layer, self.other)]


def test_of_several_backward_passes_of_a_batch_each_is_measured():
    monitor = RetentionMonitor(1)
    alone, _ = fit(Adversaries, max_epochs=1)
    beside, _ = fit(Adversaries, monitor, max_epochs=1)
    assert beside.losses == alone.losses
    assert sorted((each.step, each.layer.partition("/")[0]) for each in monitor.history) == [
        (step, layer) for step in (0, 2, 4, 6) for layer in ("layer", "other")
    ]


def test_loggers_show_the_same_names_and_tensorboard_the_picture(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    written, board, run = CSVLogger(tmp_path), TensorBoardLogger(tmp_path), StandIn()
    monitor, loggers = RetentionMonitor(4), [written, board, wandb_logger(run, monkeypatch)]
    _, trainer = fit(Plain, monitor, logger=loggers, log_every_n_steps=1)
    board.finalize("success")
    events = EventAccumulator(board.log_dir).Reload().Tags()
    with (Path(written.log_dir) / "metrics.csv").open() as file:
        names = {name for name in csv.DictReader(file).fieldnames if "retention" in name}
    assert names == {name for name in events["scalars"] if "retention" in name} == set(trainer.callback_metrics)
    rows = [row for row in run.rows if not names.isdisjoint(row)]
    assert {name for row in rows for name in row} == names | {"trainer/global_step"}
    assert [row["trainer/global_step"] for row in rows] == [0, 4, 8]
    assert events["images"] == ["retention"]
    path = tmp_path / "history.json"
    monitor.history.to_json(path)
    again = History.from_json(path)
    assert again.layers == monitor.history.layers
    assert [each.gain.tolist() for each in again] == [each.gain.tolist() for each in monitor.history]


class Told(Plain):
    """Says in a file of its process what that has in the end."""

    folder = Path()

    def on_fit_end(self):
        (monitor,) = [each for each in self.trainer.callbacks if isinstance(each, RetentionMonitor)]
        said = [len(monitor.history), float(self.trainer.callback_metrics[REACH]), self.layer.weight_hh_l0.sum().item()]
        (self.folder / str(self.trainer.global_rank)).write_text(repr(said))


def test_in_two_processes_all_have_the_numbers_of_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(Told, "folder", tmp_path)
    fit(Told, RetentionMonitor(1), max_epochs=1, strategy="ddp_fork", devices=2)
    first, second = ((tmp_path / rank).read_text() for rank in "01")
    assert first == second
    assert first.startswith("[4, ")
