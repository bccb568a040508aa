"""RetentionMonitor: a Lightning callback that measures retention while a model trains."""

import inspect
import math
import re
import time
from functools import partial
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.live import Cells, recurrent_modules, step_modules
from rnnvanish.probes.calling import mapped
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.retention import retention

#: Without a fixed interval: the share of the training's time that measuring may take, and the steps between at least.
SHARE, AT_LEAST = 0.03, 50


class RetentionMonitor(Callback):
    """Log how far back the gradient reaches in every recurrent layer while any LightningModule trains.

    Each recurrent module is measured by itself, on a few sequences of the batch that it was just trained on and with the
    weights that it was trained with, from the end of its own sequence. Steps that a model calls in a loop of its own are
    measured through its `forward`, given the batch. The training run is not touched: the same seed gives the same losses
    with the callback and without it.

    Logs numbers, to every logger: `retention/<layer>/half_life` in steps, `retention/<layer>/decades_lost` over the whole
    sequence, `retention/<layer>/reach` in steps. One that is infinite or below resolution is left out at that step.
    Warns once when a layer's gradient comes to vanish or explode, and says so when it no longer does; `alerts` keeps what
    was said.

    Args:
        every_n_steps: Optimiser steps from one measurement to the next. None: 50, or as many as keep the time it takes
            under 5 % of the training's.
        sequences: How many sequences of a batch are measured, the first ones; a PackedSequence is measured whole.
        cells: Modules that are one step of a loop which the model itself writes, as in `probes.retention`.
    """

    def __init__(self, every_n_steps: int | None = None, sequences: int = 4, cells: Cells = ()) -> None:
        for name, value in {"every_n_steps": every_n_steps, "sequences": sequences}.items():
            if value is not None and value < 1:
                raise ValueError(f"RetentionMonitor needs {name} >= 1, got {value}.")
        self.every_n_steps, self.sequences, self.cells = every_n_steps, sequences, cells
        self.alerts: list[str] = []
        self._verdicts: dict[str, str] = {}
        self._seen: dict[str, tuple[nn.Module, dict[str, Any]]] = {}
        self._batch: Any = None
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        self._last: tuple[int, float, float] | None = None  # step and time of the last measurement, and what it took

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Take note of what each recurrent module reads, on the steps that are measured."""
        self._forget()
        if not self._due(trainer.global_step):
            return
        if step_modules(pl_module, self.cells):
            self._batch = mapped(batch, _apart)
        for name, module in recurrent_modules(pl_module).items():

            def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str = name) -> None:
                arguments = inspect.signature(type(module).forward).bind(module, *args, **kwargs).arguments
                arguments.pop("self")
                self._seen.setdefault(name, (module, _first(module, arguments, self.sequences)))

            self._hooks.append(module.register_forward_pre_hook(note, with_kwargs=True))

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Measure, before the weights change."""
        if not self._seen and self._batch is None:
            return
        began = time.perf_counter()
        measured: dict[str, float] = {}
        for name, curve in self._curves(pl_module).items():
            layer = re.sub(r"[^\w./-]+", "_", name).replace("_/", "/").strip("_")
            lost = curve.decades_lost(len(curve.gain) - 1)
            values = {"half_life": curve.half_life, "decades_lost": lost, "reach": float(curve.reach)}
            if curve.verdict != "unmeasured":
                finite = {key: value for key, value in values.items() if math.isfinite(value)}
                measured |= {f"retention/{layer}/{key}": value for key, value in finite.items()}
                self._alert(layer, curve, trainer.global_step)
        # To the loggers, not by self.log(): that would repeat the last value at every step in between.
        for logger in trainer.loggers if measured else ():
            logger.log_metrics(measured, step=trainer.global_step)
        self._forget()
        now = time.perf_counter()
        self._last = trainer.global_step, now, now - began

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no hook behind."""
        self._forget()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave no hook behind."""
        self._forget()

    def _due(self, step: int) -> bool:
        if self.every_n_steps is not None:
            return step % self.every_n_steps == 0
        if self._last is None:
            return True
        last, when, took = self._last
        return step - last >= AT_LEAST and (time.perf_counter() - when) * SHARE >= took

    def _curves(self, pl_module: LightningModule) -> dict[str, Curve]:
        curves = {}
        for name, (module, arguments) in self._seen.items():
            weight = next(module.parameters())
            arguments = mapped(arguments, partial(_like, weight=weight))
            for loop, curve in retention(module, arguments).items():
                curves[f"{name}/{loop.partition('/')[2]}"] = curve
        if self._batch is not None:
            own = step_modules(pl_module, self.cells)
            found = retention(pl_module, self._batch, cells=self.cells)
            curves |= {name: curve for name, curve in found.items() if name.partition(" (call ")[0] in own}
        return curves

    def _alert(self, layer: str, curve: Curve, step: int) -> None:
        """Say that a layer's verdict is another than it was: healthy, before the first measurement."""
        before, self._verdicts[layer] = self._verdicts.get(layer, "healthy"), curve.verdict
        if curve.verdict == before:
            return
        said = f"{layer}: " + {
            "vanishing": f"gradients from beyond {curve.reach} steps vanished at step {step}.",
            "exploding": f"gradients explode over {len(curve.gain) - 1} steps at step {step}.",
            "healthy": f"gradients reach back all {len(curve.gain) - 1} steps again at step {step}.",
        }.get(curve.verdict, "")
        self.alerts.append(said)
        (rank_zero_info if curve.verdict == "healthy" else rank_zero_warn)(said)

    def _forget(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._seen.clear()
        self._batch = None


def _first(module: nn.Module, arguments: dict[str, Any], count: int) -> dict[str, Any]:
    """Copies of what a layer reads of the first sequences, that the rest of the training step cannot change."""
    x = next(iter(arguments.values()))
    if isinstance(x, PackedSequence) or x.dim() < 3:
        return dict(mapped(arguments, _apart))
    axes = {"hx": 1, "state": 1, "lengths": 0}
    first = 0 if getattr(module, "batch_first", False) else 1

    def few(value: Any, axis: int) -> Any:
        if isinstance(value, list):
            return value[:count]
        return mapped(value, lambda part: _apart(part.narrow(axis, 0, min(count, part.shape[axis]))))

    return {name: few(value, axes.get(name, first)) for name, value in arguments.items()}


def _apart(value: Tensor) -> Tensor:
    """A copy that holds on to no graph."""
    return value.detach().clone()


def _like(value: Tensor, weight: Tensor) -> Tensor:
    """Undo mixed precision: the measurement runs in the precision of the weights."""
    return value.to(weight.dtype) if value.is_floating_point() else value
