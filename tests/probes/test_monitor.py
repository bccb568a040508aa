"""RetentionMonitor: it logs what the probe measures, and the run is the same with it and without it."""

import csv
from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.loggers import CSVLogger
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from rnnvanish import Recurrent, cells
from rnnvanish.probes import retention
from rnnvanish.probes.monitor import RetentionMonitor


class Forecaster(LightningModule):
    """An ordinary LightningModule, with dropout, two kinds of layer, and a state handed over by keyword."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.LSTM(2, 6, num_layers=2, dropout=0.5, batch_first=True)
        self.decoder = Recurrent(cells.GRU, 6, 6, batch_first=True)
        self.head = nn.Linear(6, 1)
        self.losses = []
        self.seen = []

    def training_step(self, batch, index):
        x, y = batch
        output, (h, _) = self.encoder(x)
        self.seen.append((output.detach().clone(), h[-1:].detach().clone()))
        output, _ = self.decoder(x=output, state=h[-1:])
        loss = mse_loss(self.head(output[:, -1]), y)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


def train(folder, *callbacks):
    seed_everything(0, verbose=False)
    model = Forecaster()
    data = DataLoader(TensorDataset(torch.randn(24, 10, 2), torch.randn(24, 1)), batch_size=4, shuffle=True)
    logger = CSVLogger(folder)
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=logger,
        callbacks=list(callbacks),
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    return model, logger


def rows(logger):
    with (Path(logger.log_dir) / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if any("retention" in key and value for key, value in row.items())]


def test_the_run_is_the_same_with_it_and_without_it(tmp_path):
    plain, _ = train(tmp_path / "plain")
    watched, _ = train(tmp_path / "watched", RetentionMonitor(every_n_steps=2))
    assert watched.losses == plain.losses
    torch.testing.assert_close(watched.state_dict(), plain.state_dict(), rtol=0, atol=0)
    assert not any(module._forward_pre_hooks for module in watched.modules())


def test_it_logs_every_layer_at_its_interval(tmp_path):
    _, logger = train(tmp_path, RetentionMonitor(every_n_steps=2))
    logged = rows(logger)
    assert [int(row["step"]) for row in logged] == [0, 2, 4]
    names = {key for key in logged[0] if key.startswith("retention/")}
    assert names == {
        f"retention/{layer}/{measure}"
        for layer in ("encoder/layer0/forward", "encoder/layer1/forward", "decoder/layer0/forward")
        for measure in ("half_life", "decades_lost")
    }


def test_it_logs_what_the_probe_measures_on_that_batch(tmp_path):
    """The first measurement, again, on a model as it was before the first step."""
    model, logger = train(tmp_path, RetentionMonitor(every_n_steps=100))
    seed_everything(0, verbose=False)
    fresh = Forecaster()
    curve = retention(fresh.decoder, model.seen[0])["Recurrent/layer0/forward"]
    row = rows(logger)[0]
    assert float(row["retention/decoder/layer0/forward/half_life"]) == pytest.approx(curve.half_life, rel=1e-5)
    lost = float(row["retention/decoder/layer0/forward/decades_lost"])
    assert lost == pytest.approx(curve.decades_lost(9), rel=1e-5)


def test_an_interval_of_no_steps_is_refused():
    with pytest.raises(ValueError, match="every_n_steps >= 1, got 0"):
        RetentionMonitor(every_n_steps=0)
