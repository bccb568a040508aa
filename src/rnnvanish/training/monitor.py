"""RetentionMonitor: a Lightning callback that measures retention while a model trains."""

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from rnnvanish.live import Cells, recurrent_modules, step_modules
from rnnvanish.monitor.alert import Alert
from rnnvanish.monitor.backward_passes import AT_LEAST, Schedule
from rnnvanish.monitor.history import History
from rnnvanish.monitor.pass_measurement import PassMeasurement
from rnnvanish.monitor.results import Results
from rnnvanish.names import did_you_mean, is_named, listed
from rnnvanish.probes.curve import Curve


class RetentionMonitor(Callback):
    """Log how far back the gradient reaches in every recurrent layer while any LightningModule trains.

    What is measured is the gradient of the training's own loss on its own batch, as `watch` measures it: in the backward pass
    itself, before the weights change, with manual optimisation and several optimisers too. Of a batch with several backward
    passes each layer is measured in the first that reaches it.

    The training run is not touched: the same seed gives the same losses with the callback and without it. What cannot be
    measured does not end it: that is said once, and stands in `problems`.

    Logs numbers, to every logger: `retention/<layer>/half_life` in steps, `retention/<layer>/decades_lost` over the whole
    sequence, `retention/<layer>/reach` in steps. One that is infinite or below resolution is left out at that step; `reach`
    is always a number. They stand in `trainer.callback_metrics` too, the latest of each, so that `ModelCheckpoint`,
    `EarlyStopping` and schedulers can have them for their `monitor`.
    Warns once when a layer's gradient comes to vanish or explode, and says so when it no longer does. At the end of a fit
    TensorBoard is given the picture of the `history`, "retention". In several processes the first one measures, and all are
    given its numbers.

    Attributes:
        history: What was measured.
        alerts: When gradients came to vanish or explode, or came back.
        problems: What could not be measured, and why.

    Args:
        every_n_steps: Optimiser steps from one measurement to the next. None: 50, or as many as keep the time it takes
            under 5 % of the training's.
        cells: Modules that are one step of a loop which the model itself writes, as in `probes.retention`.
        layers: Names of the modules that are measured, or of those that hold them; all if empty.
    """

    def __init__(self, every_n_steps: int | None = None, cells: Cells = (), layers: Sequence[str] = ()) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"RetentionMonitor needs every_n_steps >= 1, got {every_n_steps}.")
        self.every_n_steps, self.cells, self.layers = every_n_steps, cells, layers
        self._results = Results(History("", "optimiser steps"), self._say, rank_zero_warn)
        self.history, self.alerts, self.problems = self._results.history, self._results.alerts, self._results.problems
        self._schedule = Schedule(every_n_steps)
        self._measurement: PassMeasurement | None = None
        self._begun: int | None = None  # the step of the batch that is measured

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make sure that there are the layers that were asked for."""
        self.history.model = type(pl_module).__name__
        known = [*recurrent_modules(pl_module), *step_modules(pl_module, self.cells)]
        for layer in self.layers:
            if not any(is_named(name, layer) for name in known):
                raise ValueError(
                    f"layers= names {layer!r}, and {type(pl_module).__name__} has no recurrent layer of that name."
                    f"{did_you_mean(layer, known)} There are: {listed(known) or 'none'}."
                )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the weights, now that they are where they are trained."""
        try:
            self._measurement = PassMeasurement(pl_module, self.cells, lambda: None, self._results.fail)
        except ValueError as error:
            self._results.fail(error)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Measure what this batch gives, if it is time."""
        if self._measurement is not None and self._due_everywhere(trainer):
            self._begun = trainer.global_step
            self._measurement.begin()

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Log what was measured."""
        if self._measurement is None or self._begun is None:
            return
        self._measurement.end()
        step, (curves, took), self._begun = self._begun, self._measurement.take(), None
        if trainer.world_size > 1:  # whoever stops or saves by these numbers does so in all processes, or in none
            curves, took = trainer.strategy.broadcast((curves, took))
        if took is None:  # there was no backward pass
            return
        self._schedule.note(step, took)
        curves = {name: curve for name, curve in curves.items() if self._is_wanted(name)}
        self._results.add(step, curves)
        measured = {name: value for layer, curve in curves.items() for name, value in _numbers(layer, curve).items()}
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in measured.items()})
        # To the loggers, not by self.log(): that would repeat the last value at every step in between.
        for logger in trainer.loggers if measured else ():
            try:
                logger.log_metrics(measured, step=step)
            except Exception as error:  # noqa: BLE001  # a training must not end by being watched
                name, why = type(logger).__name__, f"{type(error).__name__}: {error}"
                self._results.say(f"{name} is left out of what is measured: {why}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave no hook behind, and say where steps could not be counted."""
        self._close()
        if trainer.global_step == 0 < trainer.fit_loop.total_batch_idx:
            self._results.say(
                f"{self.history.model} is left out of what is measured after its first batch: no optimiser took a step by way "
                "of the Trainer, so steps cannot be counted. Take those that self.optimizers() gives."
            )

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no hook behind."""
        self._close()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give TensorBoard the picture of the whole training."""
        for logger in trainer.loggers if self.history.measurements else ():
            experiment: Any = getattr(logger, "experiment", None)
            if hasattr(experiment, "add_figure"):
                experiment.add_figure("retention", self.history.plot(), trainer.global_step)

    def _due_everywhere(self, trainer: Trainer) -> bool:
        """Whether to measure at this step: in several processes the first one decides, where its clock does."""
        step, last, every = trainer.global_step, self._schedule.last, self.every_n_steps
        if every is not None:  # at its multiples, also in a run that goes on
            return step // every > (step - 1 if last is None else last) // every
        if trainer.world_size == 1:
            return self._schedule.is_due(step)
        if last is not None and (step - last) % AT_LEAST:
            return False
        return bool(trainer.strategy.broadcast(self._schedule.is_due(step)))

    def _is_wanted(self, loop: str) -> bool:
        return not self.layers or any(is_named(loop, layer) for layer in self.layers)

    def _say(self, alert: Alert) -> None:
        """Say that a layer's verdict is another than it was."""
        (rank_zero_info if alert.verdict == "healthy" else self._results.warn)(str(alert))

    def _close(self) -> None:
        if self._measurement is not None:
            self._measurement.close()
        self._measurement = self._begun = None


def _numbers(loop: str, curve: Curve) -> dict[str, float]:
    """What is logged of a layer, by the names of the metrics."""
    if not curve.is_measured:
        return {}
    layer = re.sub(r"[^\w./-]+", "_", loop).replace("_/", "/").strip("_")
    lost = curve.decades_lost(len(curve.gain) - 1)
    values = {"half_life": curve.half_life, "decades_lost": lost, "reach": float(curve.reach)}
    return {f"retention/{layer}/{key}": value for key, value in values.items() if math.isfinite(value)}
