"""RetentionMonitor: it logs what the probe measures, and the run is the same with it and without it."""

import csv
import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from rnnvanish import Recurrent, cells
from rnnvanish.monitor import backward_passes, pass_measurement
from rnnvanish.probes import retention
from rnnvanish.training.monitor import RetentionMonitor


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
        self.seen.append((output.detach().clone(), h[-1:].detach().clone(), y))
        output, _ = self.decoder(x=output, state=h[-1:])
        loss = mse_loss(self.head(output[:, -1]), y)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Decoding(nn.Module):
    """What comes behind the encoder."""

    def __init__(self, whole):
        super().__init__()
        self.decoder, self.head = whole.decoder, whole.head

    def forward(self, x, state):
        return self.head(self.decoder(x, state)[0][:, -1])


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
        for measure in ("half_life", "decades_lost", "reach")
    }


def test_it_logs_what_the_probe_measures_on_that_batch(tmp_path):
    """The first measurement, again, on a model as it was before the first step: the gradient of its own loss."""
    model, logger = train(tmp_path, RetentionMonitor(every_n_steps=100))
    seed_everything(0, verbose=False)
    *read, y = model.seen[0]
    curve = retention(Decoding(Forecaster()), read, lambda output: mse_loss(output, y))["decoder/layer0/forward"]
    row = rows(logger)[0]
    assert float(row["retention/decoder/layer0/forward/half_life"]) == pytest.approx(curve.half_life, rel=1e-5)
    lost = float(row["retention/decoder/layer0/forward/decades_lost"])
    assert lost == pytest.approx(curve.decades_lost(9), rel=1e-5)


def test_an_interval_of_no_steps_is_refused():
    with pytest.raises(ValueError, match="every_n_steps >= 1, got 0"):
        RetentionMonitor(every_n_steps=0)


class Simple(LightningModule):
    """One layer; `gates` are the biases of its update gate before each step, so that its memory comes and goes."""

    def __init__(self, layer, gates=(), steps=30):
        super().__init__()
        self.layer, self.gates, self.steps = layer, gates, steps

    def forward(self, x):
        output, _ = self.layer(x)
        return output[:, -1]

    def training_step(self, batch, index):
        if self.gates:
            with torch.no_grad():
                self.layer.bias_hh_l0[8:16] = self.gates[self.global_step]
        return self(batch).square().mean()

    def train_dataloader(self):
        return DataLoader(torch.randn(32 * (len(self.gates) or 400), self.steps, 2), batch_size=32)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(model, *callbacks, logger=False, **options):
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=logger,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(model)


def test_it_warns_once_when_gradients_vanish_and_says_when_they_are_back():
    torch.manual_seed(0)
    model, monitor = Simple(nn.GRU(2, 8, batch_first=True), gates=[9, 9, -2, -2, 9, 9]), RetentionMonitor(1)
    with pytest.warns(UserWarning, match=r"layer/layer0/forward: gradients from beyond \d+ steps vanished at step 2"):
        fit(model, monitor)
    vanished, back = map(str, monitor.alerts)
    with torch.no_grad():
        model.layer.bias_hh_l0[8:16] = -2
    reach = retention(model.layer, next(iter(model.train_dataloader())))["GRU/layer0/forward"].reach
    assert abs(int(vanished.split("beyond ")[1].split()[0]) - reach) <= 1  # other sequences, the same gates
    assert back == "layer/layer0/forward: gradients reach back all 29 steps again at step 4."


def test_tensorboard_shows_it(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    torch.manual_seed(0)
    logger = TensorBoardLogger(tmp_path)
    with pytest.warns(UserWarning, match="vanished at step 0"):
        fit(Simple(nn.LSTM(2, 8, batch_first=True)), RetentionMonitor(2), logger=logger, max_steps=4)
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir).Reload()
    assert {f"retention/layer/layer0/forward/{what}" for what in ("half_life", "decades_lost", "reach")} <= set(
        events.Tags()["scalars"]
    )
    half_lives = events.Scalars("retention/layer/layer0/forward/half_life")
    assert [event.step for event in half_lives] == [0, 2]
    assert 0.5 < half_lives[0].value < 5


class Strict(Logger):
    """As strict as the strictest service: finite numbers, names of few characters, one step after the other."""

    name, version = "strict", 0

    def __init__(self):
        super().__init__()
        self.rows = []

    def log_hyperparams(self, params):
        pass

    def log_metrics(self, metrics, step=None):
        assert all(type(value) is float and math.isfinite(value) for value in metrics.values()), metrics
        assert all(re.fullmatch(r"[\w./-]+", name) for name in metrics), list(metrics)
        assert not self.rows or step >= self.rows[-1][0]
        self.rows.append((step, metrics))


class Twice(Simple):
    """Calls its layer in two windows, and a cell in a loop."""

    def __init__(self, layer):
        super().__init__(layer)
        self.cell = nn.GRUCell(8, 8)

    def forward(self, x):
        _, state = self.layer(x[:, :10])
        output, _ = self.layer(x[:, 10:], state.detach())
        h = torch.zeros_like(output[:, 0])
        for now in output.unbind(1):
            h = self.cell(now, h)
        return h


def test_a_strict_logger_gets_numbers_and_steps_of_a_loop_are_measured_too():
    torch.manual_seed(0)
    model, logger = Twice(nn.GRU(2, 8, batch_first=True)), Strict()
    with pytest.warns(UserWarning, match="vanished"):
        fit(model, RetentionMonitor(1), logger=logger, max_steps=1)
    ((step, metrics),) = [row for row in logger.rows if any("retention" in name for name in row[1])]
    assert step == 0
    assert {name.rpartition("/")[0] for name in metrics} == {"retention/layer/layer0/forward", "retention/cell"}


def test_by_default_looks_take_less_than_a_twentieth_of_a_whole_training(monkeypatch):
    """By a clock of the test's own: a step takes a second, a look two. What they really take is in the benchmarks."""
    clock = SimpleNamespace(now=0.0, looked=0.0)
    for module in (backward_passes, pass_measurement):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    measure = pass_measurement.curves_of

    def slowly(*args):
        clock.now += 2
        clock.looked += 2
        return measure(*args)

    monkeypatch.setattr(pass_measurement, "curves_of", slowly)

    class Timed(RetentionMonitor):
        def on_train_batch_end(self, *args):
            super().on_train_batch_end(*args)
            clock.now += 1

    class Reader(LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.LSTM(2, 4, batch_first=True)

        def training_step(self, batch, index):
            return self.layer(batch)[0][:, -1].square().mean()

        def train_dataloader(self):
            return DataLoader(torch.randn(200, 5, 2))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    fit(Reader(), Timed())
    assert clock.now > 200
    assert 2 * 2 <= clock.looked < clock.now / 20
