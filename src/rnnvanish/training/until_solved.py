"""UntilSolved: a Lightning callback that ends a training once its task is solved, or its loss is no number."""

import copy
import math
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from rnnvanish.task import Task

#: A regression is solved where its loss is this part of what remembering nothing costs.
PART_OF_FLOOR = 0.1


class UntilSolved(Callback):
    """End the training of a `Learner` when it has solved its task, and keep its curves.

    Solved is what two validations in a row find so: of a classification at least `share` of the answers are right, of a
    regression the loss is a tenth of the task's floor at most.

    Attributes:
        solved: Optimiser steps until the first of the two; None where it was not solved.
        diverged: The step whose loss, or the steps after which the validation's, was no finite number; None where all were.
        curve: "step", "train_loss" (the mean since the last validation), "loss" and "score" of each validation.

    Args:
        task: What is learnt.
        share: Of the answers to a classification.
    """

    def __init__(self, task: Task, share: float = 0.95) -> None:
        self.task, self.share = task, share
        self.solved: int | None = None
        self.diverged: int | None = None
        self.curve: dict[str, list[float]] = {"step": [], "train_loss": [], "loss": [], "score": []}
        self._losses: list[float] = []
        self._first: int | None = None  # the step of a validation that found it solved, right before

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it."""
        names = ("solved", "diverged", "curve", "_losses", "_first")
        return {name: copy.deepcopy(getattr(self, name)) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint has kept."""
        for name, value in state_dict.items():
            setattr(self, name, value)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End what had ended before it was interrupted."""
        if self.solved is not None or self.diverged is not None:
            trainer.should_stop = True

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """End it where the loss is no finite number."""
        self._losses.append(trainer.strategy.reduce(outputs["loss"]).item())  # of all processes, if there are several
        if not math.isfinite(self._losses[-1]) and self.diverged is None:
            self._end(trainer, diverged=trainer.global_step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the curves down, and end it where the task is solved."""
        if self.diverged is not None:
            return
        step = trainer.global_step
        loss, score = (trainer.callback_metrics[name].item() for name in ("val_loss", "val_score"))
        if not math.isfinite(loss):
            return self._end(trainer, diverged=step)
        train_loss = sum(self._losses) / len(self._losses)
        for name, value in {"step": step, "train_loss": train_loss, "loss": loss, "score": score}.items():
            self.curve[name].append(value)
        self._losses = []
        first, self._first = self._first, None
        if self._is_solved(loss, score):
            self._first = step if first is None else first
            if first is not None:
                self._end(trainer, solved=first)

    def _is_solved(self, loss: float, score: float) -> bool:
        if self.task.tolerance is not None:
            return loss <= PART_OF_FLOOR * self.task.floor
        return score >= self.share - 1e-6  # what is logged has single precision

    def _end(self, trainer: Trainer, solved: int | None = None, diverged: int | None = None) -> None:
        self.solved, self.diverged = solved, diverged
        trainer.should_stop = True
