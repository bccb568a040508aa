"""A trial: one network that learns one task in one way; its result is a function of its configuration alone."""

import hashlib
import json
import logging
import math
import random
import re
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from rnnvanish.names import Written, require, written
from rnnvanish.observe.restore.random_state import preserve_random_state
from rnnvanish.probes.retention import retention
from rnnvanish.tasks import find

if TYPE_CHECKING:
    from rnnvanish.training.data import TaskData
    from rnnvanish.training.learner import Learner

#: Sequences that retention is measured on, and points of a curve that are kept.
SEQUENCES, POINTS = 16, 24


@dataclass(frozen=True)
class Trial:
    """Everything that the numbers of a trial depend on: names and numbers alone.

    Attributes:
        cell: A cell, with options where it has some, as Python writes them: "Elman(nonlinearity='relu')".
        task: A task, written likewise, or "my_task.py:MyTask"; options that follow from the lag are left out.
        lag: Steps from what has to be remembered to where it is needed; None for a task that has no such distance.
        mitigations: As `rnnvanish train` takes them; {lag} stands for the lag: "Chrono(span={lag})".
        hidden_size: Width of the state.
        num_layers: How many layers.
        optimizer: Its name.
        momentum: That of "sgd".
        lr: Learning rate.
        seed: Of weights and sequences.
        steps: Optimiser steps at most; a multiple of `check_every`.
        batch_size: Sequences in a step.
        clip: Largest norm of the gradient. 0: any. None: 1, or any where a mitigation clips it.
        check_every: Steps from one validation to the next.
        share: Of the answers to a classification that must be right for it to be solved, as `UntilSolved` says.
        schedule: What becomes of the learning rate over `steps`, as `Learner` takes it; None where it stays.
        weight_decay: Of the optimiser; None for torch's own.
        accelerator: Where it runs, which decides how sums are rounded.
    """

    cell: str
    task: str
    lag: int | None = None
    mitigations: str = ""
    hidden_size: int = 32
    num_layers: int = 1
    optimizer: str = "adam"
    momentum: float = 0.0
    lr: float = 5e-3
    seed: int = 0
    steps: int = 1000
    batch_size: int = 32
    clip: float | None = None
    check_every: int = 25
    share: float = 0.95
    accelerator: Literal["cpu", "gpu"] = "cpu"
    schedule: str | None = None
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        if self.check_every < 1 or self.steps < 1 or self.steps % self.check_every:
            raise ValueError(
                f"A trial needs steps that are a multiple of check_every, got {self.steps} and {self.check_every}."
            )
        if not self.lr > 0 or not 0 < self.share <= 1:
            raise ValueError(f"A trial needs lr > 0 and 0 < share <= 1, got {self.lr} and {self.share}.")

    @property
    def configuration(self) -> dict[str, Any]:
        """Its fields by their names. None is left out, so that a field that is added later changes no key."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits of the digest of its configuration."""
        canonical = json.dumps(self.configuration, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def network(self) -> "Trial":
        """The trial that builds the same network, whatever its seed and however it is trained."""
        plain: dict[str, Any] = {"optimizer": "adam", "momentum": 0.0, "schedule": None, "weight_decay": None}
        return replace(self, **plain, lr=1.0, seed=0, steps=self.check_every)

    def __str__(self) -> str:
        cure = f", {self.mitigations}" if self.mitigations else ""
        lag = "" if self.lag is None else f" at lag {self.lag}"
        return f"{self.cell}{cure} on {self.task}{lag}, {self.optimizer} {self.lr:g}, seed {self.seed}"


def named(kind: str, text: str) -> Written:
    """Read the name of a cell or a task, and its options; before the name of a task its file may stand.

    Raises:
        ValueError: For more than one, or an option without its name.

    Examples:
        >>> named("task", "my_task.py:MyTask(length=5)")
        Written(name='my_task.py:MyTask', args=[], options={'length': 5})
    """
    own = re.match(r"([^()]+:)\w", text) if kind == "task" else None
    found = written(text[own.end(1) :] if own else text)
    if len(found) != 1 or found[0].args:
        raise ValueError(f"Needs one {kind}, with options by their names, such as 'Name(option=1)'; got {text!r}.")
    return found[0]._replace(name=own[1] + found[0].name) if own else found[0]


def build(trial: Trial) -> "tuple[Learner, TaskData]":
    """Build what is trained, and on what, with weights drawn from the trial's seed.

    Raises:
        ValueError: For what does not go together: says why.
        ImportError: For a task whose data are not installed.
    """
    from rnnvanish.training.data import TaskData
    from rnnvanish.training.learner import Learner

    cell, task = named("cell", trial.cell), named("task", trial.task)
    if trial.lag is None and "{lag}" in trial.mitigations:
        raise ValueError(f"{trial.mitigations} needs a lag, and {trial.task} has no distance that could be chosen.")
    at_lag = {} if trial.lag is None else find(task.name).options_at(trial.lag) or {}
    random.seed(trial.seed)
    np.random.seed(trial.seed)  # noqa: NPY002  # the shared one, of whatever a mitigation or a task may draw from
    torch.manual_seed(trial.seed)
    learner = Learner(
        cell.name,
        task.name,
        hidden_size=trial.hidden_size,
        num_layers=trial.num_layers,
        lr=trial.lr,
        seed=trial.seed,
        cell_options=cell.options,
        task_options=task.options | at_lag,
        mitigations=trial.mitigations.replace("{lag}", str(trial.lag)),
        optimizer=trial.optimizer,
        momentum=trial.momentum,
        schedule=trial.schedule or "constant",
        weight_decay=trial.weight_decay,
    )
    _ = learner.task.floor  # reads the data
    return learner, TaskData(learner.task, trial.batch_size, trial.check_every, trial.seed, learner.regimes)


def refusals(trials: Iterable[Trial]) -> dict[Trial, str]:
    """Return the trials that the code itself refuses, such as a start that suits no such cell, and why.

    Raises:
        ImportError: Without Lightning nobody knows.
    """
    require("pytorch_lightning", "train", "A study")
    reasons: dict[Trial, str] = {}
    for network in dict.fromkeys(trial.network for trial in trials):
        with preserve_random_state():
            try:
                build(network)
            except (ValueError, ImportError) as error:
                reasons[network] = str(error)
    return {trial: reasons[trial.network] for trial in trials if trial.network in reasons}


def run(trial: Trial, **trainer: Any) -> dict[str, Any]:
    """Run a trial: on one thread, from its own random streams, until it is solved, has diverged, or its budget is spent.

    Args:
        trial: The trial.
        **trainer: Options of Lightning's Trainer that change no number, such as a logger.

    Returns:
        result: "solved" and "diverged", each a step or None; "steps" that were taken; "loss" and "score" of the last
            validation, the "floor" of the loss; "parameters"; "before" and "after" training the "half_life" in steps
            and the "decades_lost" over the lag, of the loop that loses most; "curve", thinned, as `UntilSolved` keeps it.
        cost: "seconds", and the "peak_bytes" of the process meanwhile, None where the system does not say.
    """
    began = time.perf_counter()
    _forget_peak()
    with preserve_random_state(), _alone():
        learner, data = build(trial)
        before = _retention(learner, data, trial.lag)
        ended, steps = _train(trial, learner, data, trainer)
        after = None if ended.diverged is not None else _retention(learner, data, trial.lag)
    curve = {name: thin([_five_digits(each) for each in values]) for name, values in ended.curve.items()}
    result = {
        "solved": ended.solved,
        "diverged": ended.diverged,
        "steps": steps,
        "loss": curve["loss"][-1] if curve["loss"] else None,
        "score": curve["score"][-1] if curve["score"] else None,
        "floor": _five_digits(learner.task.floor),
        "parameters": sum(each.numel() for each in learner.parameters()),
        "before": before,
        "after": after,
        "curve": curve,
    }
    return {"result": result, "cost": {"seconds": round(time.perf_counter() - began, 3), "peak_bytes": _peak_bytes()}}


def _train(trial: Trial, learner: "Learner", data: "TaskData", options: dict[str, Any]) -> tuple[Any, int]:
    """Train; returns how it ended, and after how many steps."""
    import pytorch_lightning as pl

    from rnnvanish.training.until_solved import UntilSolved

    until_solved = UntilSolved(learner.task, trial.share)
    clip = learner.default_clip if trial.clip is None else trial.clip
    settings: dict[str, Any] = {
        "accelerator": trial.accelerator,
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    trainer = pl.Trainer(
        max_epochs=trial.steps // trial.check_every,
        gradient_clip_val=clip or None,
        callbacks=[until_solved],
        **settings | options,
    )
    try:
        trainer.fit(learner, data)
    except SystemExit:  # how Lightning ends a run on Ctrl+C or SIGTERM
        raise (SystemExit(143) if trainer.received_sigterm else KeyboardInterrupt) from None
    return until_solved, trainer.global_step


def _retention(learner: "Learner", data: "TaskData", lag: int | None) -> dict[str, Any]:
    """How far back the gradient of the answers reaches, of the loop that loses most; why, where it can't be measured."""
    batch = data.test_batch()
    lengths = None if batch.lengths is None else batch.lengths[:SEQUENCES]
    most = len(batch.inputs) if lengths is None else int(lengths.max())
    learner.cpu().eval()
    try:
        curves = retention(learner, (batch.inputs[:most, :SEQUENCES], lengths))
    except (ValueError, RuntimeError) as error:
        return {"half_life": None, "decades_lost": None, "why": str(error)}
    finally:
        learner.train()
    lost = {
        -math.log10(gain) if gain > 0 else math.inf if gain == 0 else math.nan: curve
        for curve in curves.values()
        for gain in [curve.gain[-1 if lag is None else min(lag, len(curve.gain) - 1)].item()]
    }
    decades = max(lost, key=lambda each: -math.inf if math.isnan(each) else each)
    return {"half_life": _five_digits(lost[decades].half_life), "decades_lost": _five_digits(decades)}


def thin(values: list[float], most: int = POINTS) -> list[float]:
    """Keep so many values at most, evenly spread, the first and the last among them.

    Examples:
        >>> thin([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 4)
        [0, 3, 6, 9]
    """
    if len(values) <= most:
        return values
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def _five_digits(value: float) -> float | int:
    return value if isinstance(value, int) else float(f"{value:.5g}")


@contextmanager
def _alone() -> Iterator[None]:
    """On one thread, since sums in as many threads add up in another order; and without Lightning's hints."""
    threads, logger = torch.get_num_threads(), logging.getLogger("pytorch_lightning")
    level = logger.level
    torch.set_num_threads(1)
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        torch.set_num_threads(threads)
        logger.setLevel(level)


def _forget_peak() -> None:
    """Let the system count the most memory that this process holds from now on; Linux alone can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int | None:
    """The most memory that this process has held since."""
    try:
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        return None
