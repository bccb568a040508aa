"""LightningModules of either package, `lightning` and `pytorch_lightning`; and their methods called without a Trainer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

#: Where either package has its LightningModule.
PACKAGES = ("pytorch_lightning", "lightning")
#: Methods that a Trainer gives a batch and its index.
STEPS = {"training_step", "validation_step", "test_step", "predict_step"}


def from_lightning(kind: type) -> bool:
    """Whether a class is one of Lightning's own."""
    return kind.__module__.partition(".")[0] in PACKAGES


def is_lightning(module: nn.Module) -> bool:
    """Whether it is a LightningModule; neither package need be there to ask."""
    return any(kind.__name__ == "LightningModule" and from_lightning(kind) for kind in type(module).__mro__)


def overrides(module: nn.Module, method: str) -> bool:
    """Whether a LightningModule has a method of its own of that name."""
    owner = next((kind for kind in type(module).__mro__ if method in vars(kind)), None)
    return method in vars(module) or (owner is not None and not from_lightning(owner))


def is_redirected(module: nn.Module) -> bool:
    """Whether a strategy has put another method, training_step say, in the place of the forward of a LightningModule."""
    forward = vars(module).get("forward")
    return (
        forward is not None and is_lightning(module) and getattr(forward, "__func__", None) is not type(module).forward
    )


class Sink:
    """Takes whatever is written to it or asked of it, and gives nothing that could be a number."""

    def __call__(self, *args: Any, **kwargs: Any) -> "Sink":
        """Do nothing."""
        return self

    def __getattr__(self, name: str) -> "Sink":
        """Have every attribute but those that Python itself asks for."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, place: Any) -> "Sink":
        """Hold the same everywhere."""
        return self

    def __setitem__(self, place: Any, value: Any) -> None:
        """Keep nothing."""

    def __iter__(self) -> Iterator[Any]:
        """Hold nothing that could be gone through."""
        return iter(())


class TrainerStandIn:
    """What a Trainer would say before its first step; of what only training knows it says so."""

    current_epoch = global_step = global_rank = local_rank = node_rank = 0
    world_size = num_devices = num_nodes = accumulate_grad_batches = 1
    is_global_zero, is_last_batch, sanity_checking, predicting = True, False, False, False
    logger = progress_bar_callback = Sink()
    loggers: tuple[Any, ...] = ()

    def __init__(self, method: str) -> None:
        self.training = method == "training_step"
        self.validating, self.testing = method == "validation_step", method == "test_step"
        self.callback_metrics: dict[str, Any] = {}
        self.logged_metrics: dict[str, Any] = {}
        self._method = method

    def __getattr__(self, name: str) -> Any:
        """Say what is missing."""
        raise AttributeError(
            f"{self._method} asks for trainer.{name}, which is there only while a Trainer runs it. Give the loss as a function "
            "of what the model returns and the batch instead: loss=lambda output, batch: ..."
        )


#: What is put in the place of methods that log or step.
SINK = Sink()
SILENT = ("log", "log_dict", "optimizers", "lr_schedulers", "toggle_optimizer", "untoggle_optimizer", "clip_gradients")
REPLACED = (*SILENT, "manual_backward", "_trainer")


@contextmanager
def without_trainer(model: nn.Module, method: str) -> Iterator[list[Tensor]]:
    """Have a method of a LightningModule run where no Trainer runs it: nothing is logged, and no optimiser steps.

    Yields:
        What was given to `manual_backward`.
    """
    losses: list[Tensor] = []
    every = [vars(module) for module in model.modules() if is_lightning(module)]
    before = [{name: own[name] for name in REPLACED if name in own} for own in every]
    for own in every:
        own.update(dict.fromkeys(SILENT, SINK), manual_backward=lambda loss, *args, **kwargs: losses.append(loss))
        if own.get("_trainer") is None:
            own["_trainer"] = TrainerStandIn(method)
    try:
        yield losses
    finally:
        for own, kept in zip(every, before, strict=True):
            for name in REPLACED:
                own.pop(name, None)
            own.update(kept)
