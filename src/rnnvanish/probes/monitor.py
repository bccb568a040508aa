"""RetentionMonitor: a Lightning callback that measures retention while a model trains."""

import inspect
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_map

from rnnvanish.live import recurrent_modules
from rnnvanish.probes.retention import retention


class RetentionMonitor(Callback):
    """Log the half-life and the decades lost of every recurrent layer while any LightningModule trains.

    Each recurrent module is measured by itself, on the batch that it was just trained on and with the weights that
    it was trained with, from the end of its own sequence. The training run is not touched: the same seed gives the
    same losses with the callback and without it.

    Logs `retention/<layer>/half_life` in steps, and `retention/<layer>/decades_lost` over the whole sequence.

    Args:
        every_n_steps: Optimiser steps from one measurement to the next.
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        if every_n_steps < 1:
            raise ValueError(f"RetentionMonitor needs every_n_steps >= 1, got {every_n_steps}.")
        self.every_n_steps = every_n_steps
        self._seen: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {}
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Take note of what each recurrent module reads, on the steps that are measured."""
        self._forget()
        if trainer.global_step % self.every_n_steps:
            return
        for name, module in recurrent_modules(pl_module).items():

            def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str = name) -> None:
                arguments = inspect.signature(type(module).forward).bind(module, *args, **kwargs).args[1:]
                self._seen.setdefault(name, (module, tree_map(_apart, arguments, is_leaf=_is_packed)))

            self._hooks.append(module.register_forward_pre_hook(note, with_kwargs=True))

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Measure, before the weights change."""
        measured = {}
        for name, (module, arguments) in self._seen.items():
            weight = next(module.parameters())
            arguments = tree_map(lambda value, to=weight: _like(value, to), arguments, is_leaf=_is_packed)
            for loop, curve in retention(module, arguments).items():
                layer = f"retention/{name}/{loop.partition('/')[2]}"
                measured[f"{layer}/half_life"] = curve.half_life
                measured[f"{layer}/decades_lost"] = curve.decades_lost(len(curve.gain) - 1)
        # To the loggers, not by self.log(): that would repeat the last value at every step in between.
        for logger in trainer.loggers if measured else ():
            logger.log_metrics(measured, step=trainer.global_step)
        self._forget()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no hook behind."""
        self._forget()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave no hook behind."""
        self._forget()

    def _forget(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._seen.clear()


def _is_packed(value: Any) -> bool:
    return isinstance(value, PackedSequence)


def _apart(value: Any) -> Any:
    """A copy that the rest of the training step cannot change, and that holds on to no graph."""
    if isinstance(value, PackedSequence):
        return PackedSequence(_apart(value.data), *value[1:])
    return value.detach().clone() if isinstance(value, Tensor) else value


def _like(value: Any, weight: Tensor) -> Any:
    """Undo mixed precision: the measurement runs in the precision of the weights."""
    if isinstance(value, PackedSequence):
        return PackedSequence(_like(value.data, weight), *value[1:])
    return value.to(weight.dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
