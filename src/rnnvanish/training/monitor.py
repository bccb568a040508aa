"""RetentionMonitor: a Lightning callback that measures retention while a model trains."""

import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import nn

from rnnvanish.live import Cells, recurrent_modules, step_modules
from rnnvanish.monitor.alert import Verdicts
from rnnvanish.monitor.history import History
from rnnvanish.names import did_you_mean, is_named, listed, printable
from rnnvanish.observe.restore.random_state import preserve_random_state
from rnnvanish.probes.curve import Curve
from rnnvanish.training.step_recording import StepRecording, report_failure

#: Without a fixed interval: the share of the training's time that measuring may take, and the steps between at least.
SHARE, AT_LEAST = 0.03, 50


class RetentionMonitor(Callback):
    """Log how far back the gradient reaches in every recurrent layer while any LightningModule trains.

    Each recurrent module is measured by itself, on a few sequences of the batch that it was just trained on and with the
    weights that it was trained with, from the end of its own sequence. Steps that a model calls in a loop of its own are
    measured in a copy of the outermost module that was called and holds them; where none was called, through the
    model's `forward`, given the batch.

    The training run is not touched: the same seed gives the same losses with the callback and without it. What cannot be
    measured does not end it: that is said once, with the layer's name and the reason, and left out.

    Logs numbers, to every logger: `retention/<layer>/half_life` in steps, `retention/<layer>/decades_lost` over the whole
    sequence, `retention/<layer>/reach` in steps. One that is infinite or below resolution is left out at that step; `reach`
    is always a number. They stand in `trainer.callback_metrics` too, the latest of each, so that `ModelCheckpoint`,
    `EarlyStopping` and schedulers can have them for their `monitor`.
    Warns once when a layer's gradient comes to vanish or explode, and says so when it no longer does; `alerts` keeps what
    was said, and `history` whatever was measured. At the end of a fit TensorBoard is given the picture of it, "retention".
    In several processes the first one measures, and all are given its numbers.

    Args:
        every_n_steps: Optimiser steps from one measurement to the next. None: 50, or as many as keep the time it takes
            under 5 % of the training's.
        sequences: How many sequences of a batch are measured, the first ones. A PackedSequence is measured whole, and so
            is what a class of its own reads.
        cells: Modules that are one step of a loop which the model itself writes, as in `probes.retention`.
        layers: Names of the modules that are measured, or of those that hold them; all if empty.
    """

    def __init__(
        self, every_n_steps: int | None = None, sequences: int = 4, cells: Cells = (), layers: Sequence[str] = ()
    ) -> None:
        for name, value in {"every_n_steps": every_n_steps, "sequences": sequences}.items():
            if value is not None and value < 1:
                raise ValueError(f"RetentionMonitor needs {name} >= 1, got {value}.")
        self.every_n_steps, self.sequences, self.cells, self.layers = every_n_steps, sequences, cells, layers
        self.alerts: list[str] = []
        self.history = History("", "optimiser steps")
        self._verdicts = Verdicts()
        self._reported: set[tuple[str, str]] = set()
        self._past_hooks: set[str] = set()  # layers whose `forward` is called directly, if they are called at all
        self._called: set[str] = set()
        self._recording: StepRecording | None = None
        self._record_next = False  # whether to look at the very next step, at layers that no hook saw
        self._last: tuple[int, float, float] | None = None  # step and time of the last measurement, and what it took

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make sure that there are the layers that were asked for."""
        self.history.model = type(pl_module).__name__
        known = [*recurrent_modules(pl_module), *self._steps(pl_module)]
        for layer in self.layers:
            if not any(is_named(name, layer) for name in known):
                raise ValueError(
                    f"layers= names {layer!r}, and {type(pl_module).__name__} has no recurrent layer of that name."
                    f"{did_you_mean(layer, known)} There are: {listed(known) or 'none'}."
                )

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Take note of what each recurrent module reads, on the steps that are measured."""
        self._discard_recording()
        if self._due_everywhere(trainer):
            with report_failure(type(pl_module).__name__, self._report), preserve_random_state():
                steps = self._steps(pl_module)
                self._recording = StepRecording(
                    pl_module, batch, steps, self.sequences, self._past_hooks, self._report, self.layers
                )
                self._recording.begin()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Measure, before the weights change."""
        if self._recording is not None:
            began = time.perf_counter()
            with report_failure(type(pl_module).__name__, self._report), preserve_random_state():
                self._measure(self._recording, trainer)
            self._discard_recording()
            now = time.perf_counter()
            self._last = trainer.global_step, now, now - began

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no hook behind."""
        self._discard_recording()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave no hook behind, and say where there never was anything to measure."""
        if self._last is None and self._recording is not None:
            self._report(type(pl_module).__name__, "no optimiser took a step by way of the Trainer.")
        self._discard_recording()
        for logger in trainer.loggers if self.history.measurements else ():
            with report_failure(type(logger).__name__, self._report):
                experiment: Any = getattr(logger, "experiment", None)
                if hasattr(experiment, "add_figure"):
                    experiment.add_figure("retention", self.history.plot(), trainer.global_step)

    def _due_everywhere(self, trainer: Trainer) -> bool:
        """Whether to measure at this step: in several processes the first one decides, where its clock does."""
        step = trainer.global_step
        if trainer.world_size == 1 or self.every_n_steps is not None:
            return self._due(step)
        if self._last is not None and (step - self._last[0]) % AT_LEAST:
            return False
        return bool(trainer.strategy.broadcast(self._due(step)))

    def _due(self, step: int) -> bool:
        if self._record_next:
            return True
        if self.every_n_steps is not None:
            before = step - 1 if self._last is None else self._last[0]
            return step // self.every_n_steps > before // self.every_n_steps
        if self._last is None:
            return True
        last, when, took = self._last
        return step - last >= AT_LEAST and (time.perf_counter() - when) * SHARE >= took

    def _measure(self, recording: StepRecording, trainer: Trainer) -> None:
        """Measure and log, and say what was not measured."""
        recording.end()
        self._record_next = False
        curves: dict[str, Curve] = {}
        if trainer.is_global_zero:
            with report_failure(type(recording.model).__name__, self._report):
                curves = recording.curves()
        if trainer.world_size > 1:  # whoever stops or saves by these numbers does so in all processes, or in none
            curves = trainer.strategy.broadcast(curves)
        measured: dict[str, float] = {}
        for name, curve in curves.items():
            measured |= self._numbers(name, curve, trainer.global_step)
        self.history.add(trainer.global_step, {name: curve for name, curve in curves.items() if curve.is_measured})
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in measured.items()})
        # To the loggers, not by self.log(): that would repeat the last value at every step in between.
        for logger in trainer.loggers if measured else ():
            with report_failure(type(logger).__name__, self._report):
                logger.log_metrics(measured, step=trainer.global_step)
        if not recording.layers and not recording.steps:
            self._report(type(recording.model).__name__, "it has no recurrent layer.")
        self._called |= recording.layers.keys() - recording.unseen
        for name in sorted(recording.unseen & self._past_hooks - self._called):
            self._report(name, "it was not called in the steps that were looked at.")
        self._record_next = not recording.unseen <= self._past_hooks
        self._past_hooks |= recording.unseen

    def _steps(self, pl_module: LightningModule) -> dict[str, nn.Module]:
        with report_failure("cells=", self._report):
            return step_modules(pl_module, self.cells)
        return step_modules(pl_module)

    def _numbers(self, name: str, curve: Curve, step: int) -> dict[str, float]:
        """What is logged of a layer, by the names of the metrics."""
        layer = re.sub(r"[^\w./-]+", "_", name).replace("_/", "/").strip("_")
        if not curve.is_measured:
            self._report(name, " ".join(curve.notes) or "no gradient comes back from the end of its sequences.")
            return {}
        self._alert(layer, curve, step)
        lost = curve.decades_lost(len(curve.gain) - 1)
        values = {"half_life": curve.half_life, "decades_lost": lost, "reach": float(curve.reach)}
        return {f"retention/{layer}/{key}": value for key, value in values.items() if math.isfinite(value)}

    def _alert(self, layer: str, curve: Curve, step: int) -> None:
        """Say that a layer's verdict is another than it was: healthy, before the first measurement."""
        if (alert := self._verdicts.alert(step, layer, curve)) is not None:
            self._say(str(alert), rank_zero_info if curve.verdict == "healthy" else rank_zero_warn)

    def _report(self, name: str, why: str) -> None:
        """Say why something is not measured: once for each kind of reason, since its words may differ at every step."""
        if (key := (name, why.partition(":")[0])) not in self._reported:
            self._reported.add(key)
            self._say(f"{name} is left out of what is measured: {why} The training goes on.", rank_zero_warn)

    def _say(self, said: str, how: Callable[[str], None]) -> None:
        said = printable(" ".join(said.split()))
        self.alerts.append(said)
        try:
            how(said)
        except Warning:  # where warnings are errors this one is none, since it would end the training
            rank_zero_info(said)

    def _discard_recording(self) -> None:
        if self._recording is not None:
            self._recording.end()
        self._recording = None
