"""The body of `rnnvanish train`: a run that an interruption does not change."""

import contextlib
import copy
import logging
import platform
import sys
import time
import warnings
from importlib.metadata import version
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, LambdaCallback, ModelCheckpoint
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from rnnvanish.names import WrongUse, lookup, printable, require
from rnnvanish.observe.restore.random_state import preserve_random_state
from rnnvanish.records.version import this_commit
from rnnvanish.training.checkpoints import WholeCheckpoints, read_checkpoint
from rnnvanish.training.data import TaskData
from rnnvanish.training.learner import Learner
from rnnvanish.training.monitor import RetentionMonitor
from rnnvanish.training.runs import MetricsLogger, RunFolder, is_first
from rnnvanish.training.until_solved import UntilSolved

#: Options of a run that are not the Learner's.
RUN_OPTIONS = ("epochs", "steps_per_epoch", "batch_size", "clip", "monitor", "trainer", "until_solved")
#: Options of Lightning's Trainer that may be given: where a run is trained.
WHERE = ("accelerator", "devices", "num_nodes", "precision", "strategy")
ANEW = "Remove it to begin anew, or name another folder with --out."


def train(options: dict[str, Any], out: str | None, as_json: bool) -> tuple[int, dict[str, Any] | None]:
    """Train, or go on training, or say that all is done.

    Args:
        options: Those of `Learner` and `RUN_OPTIONS`.
        out: The run's folder; None for one that is named by the options.
        as_json: Whether to leave out the table that shows the result.

    Returns:
        The exit code, and the result; where it was interrupted, what to do as "error". None in the other processes of
        several that train together.

    Raises:
        WrongUse: For options that do not fit, and for what stops a training.
    """
    try:
        learner, data = build(options)
        folder = RunFolder(options, out)
        result: dict[str, Any] | int | None = folder.result
        if result is None:
            rehearse(learner, data, options.get("trainer", {}))
            with folder.held():
                result = train_on(learner, data, folder, options)
        else:
            print(f"This run is finished: {printable(str(folder.path))}", file=sys.stderr)
    except (ValueError, ImportError, OSError, RuntimeError, MemoryError, OverflowError) as error:
        raise WrongUse(str(error) or type(error).__name__) from error
    if not is_first():
        return result if isinstance(result, int) else 0, None
    if isinstance(result, int):
        said = "Interrupted: the same command goes on from the last whole epoch."
        print(said, file=sys.stderr)
        return result, {"error": said}
    if not as_json:
        report(result)
    return 0, result


def build(options: dict[str, Any]) -> tuple[Learner, TaskData]:
    """Build what is trained, and on what; the options are completed, and checked."""
    pl.seed_everything(options["seed"], verbose=False)  # before anything is built
    learner = Learner(**{name: value for name, value in options.items() if name not in RUN_OPTIONS})
    if options["clip"] is None:
        options["clip"] = learner.default_clip
    sizes = options["batch_size"], options["steps_per_epoch"]
    data = TaskData(learner.task, *sizes, options["seed"], learner.regimes)
    _ = learner.task.floor  # reads the data: where a package is missing, now rather than in the middle
    for name in options.get("trainer", {}):
        lookup("option of the trainer", name, dict.fromkeys(WHERE))
    for name, least in {"epochs": 1, "clip": 0, "monitor": 0}.items():
        if options[name] < least:
            raise ValueError(f"train needs {name} >= {least}, got {options[name]}.")
    return learner, data


def rehearse(learner: Learner, data: TaskData, trainer: dict[str, Any]) -> None:
    """Take the first step in a copy: what cannot go together is refused before anything is kept.

    Raises:
        ValueError: Where it fails: says how.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    try:
        where = {"devices": 1} | trainer
        device = pl.Trainer(**where, logger=False, enable_checkpointing=False).strategy.root_device
        with preserve_random_state():
            copied = copy.deepcopy(learner).to(device)
            loss, penalty = copied.losses(copied.transfer_batch_to_device(data.train_batch(0, 0), device, 0))
            (loss if penalty is None else loss + penalty).backward()
            for rule in copied.rules:
                rule.apply(copied.parameters())
            copied.build_optimizer().step()
    except Exception as error:
        raise ValueError(f"These cannot be trained together: {str(error) or type(error).__name__}") from error


def train_on(learner: Learner, data: TaskData, folder: RunFolder, options: dict[str, Any]) -> dict[str, Any] | int:
    """Train from the folder's last checkpoint on; returns the result, or the exit code of an interruption."""
    step = steps_done(folder, learner)
    until_solved = UntilSolved(learner.task) if options.get("until_solved") else None
    start = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):  # the progress bar; the result has stdout for itself
        if code := fit(learner, data, folder, options, step, until_solved):
            return code
    if not is_first():
        return 0
    loss, score = evaluate(learner, data)
    result = {
        **{name: options[name] for name in ("task", "cell", "seed")},
        "loss": loss,
        "score": score,
        "floor": learner.task.floor,
        "steps": learner.trainer.global_step,
        **({"solved": until_solved.solved, "diverged": until_solved.diverged} if until_solved else {}),
        "seconds": round(time.perf_counter() - start, 3),  # of this command; an interruption's are not counted
        "checkpoint": str(folder.checkpoint),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("rnnvanish", "torch", "pytorch-lightning")}
        | ({} if (commit := this_commit()) is None else {"commit": commit}),
    }
    folder.finish(result)
    return result


def steps_done(folder: RunFolder, learner: Learner) -> int:
    """Optimiser steps until the folder's last checkpoint, 0 where there is none.

    Raises:
        ValueError: Where it is damaged, or not this learner's.
    """
    path = folder.checkpoint
    if not path.exists():
        return 0
    try:
        checkpoint = read_checkpoint(path)
    except ValueError as error:
        raise ValueError(f"{error} {ANEW}") from error
    ours, theirs = learner.state_dict(), checkpoint["state_dict"]
    alike = ours.keys() == theirs.keys() and all(ours[name].shape == theirs[name].shape for name in ours)
    choices = {"optimizer": "adam", "momentum": 0.0, "schedule": "constant", "weight_decay": None}
    begun_with = choices | checkpoint["hyper_parameters"]  # it may be older than these
    if not alike or begun_with != dict(learner.hparams):
        raise ValueError(f"{path} is the checkpoint of another network. {ANEW}")
    steps: int = checkpoint["global_step"]
    return steps


def fit(
    learner: Learner,
    data: TaskData,
    folder: RunFolder,
    options: dict[str, Any],
    step: int,
    until_solved: UntilSolved | None = None,
) -> int:
    """Train from the folder's last checkpoint on, `step` steps; returns 0, or the exit code of an interruption."""
    begun: list[bool] = []
    # What ends it is asked before a checkpoint keeps its answer. Checkpoints one after the other: what is kept of the best
    # epoch is part of the last one's.
    callbacks: list[Callback] = [until_solved] if until_solved else []
    callbacks += [
        ModelCheckpoint(folder.path, "best", "val_loss", save_on_train_epoch_end=True, enable_version_counter=False),
        ModelCheckpoint(folder.path, "last", save_on_train_epoch_end=True, enable_version_counter=False),
    ]
    callbacks.append(LambdaCallback(on_train_start=lambda *_: begun.append(True)))
    if options["monitor"]:
        callbacks.append(RetentionMonitor(options["monitor"]))
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning 2.6 with torch 2.13
        trainer = pl.Trainer(
            default_root_dir=folder.path,
            max_epochs=options["epochs"],
            gradient_clip_val=options["clip"] or None,
            use_distributed_sampler=False,
            logger=loggers(folder, step),
            callbacks=callbacks,
            plugins=WholeCheckpoints(),
            num_sanity_val_steps=0,
            log_every_n_steps=min(10, options["steps_per_epoch"]),
            enable_model_summary=False,
            **{"devices": 1} | options.get("trainer", {}),
        )
        try:
            trainer.fit(learner, data, ckpt_path=folder.checkpoint if step else None, weights_only=True)
        except SystemExit:  # how Lightning ends a run on Ctrl+C or SIGTERM
            return 143 if trainer.received_sigterm else 130
        except Exception as error:
            if step and not begun:
                raise WrongUse(f"{folder.checkpoint} does not fit this run ({type(error).__name__}). {ANEW}") from error
            raise WrongUse(
                f"The training stopped at step {trainer.global_step}: {type(error).__name__}: {error}. "
                f"{folder.path} keeps what was reached; the same command goes on from the last whole epoch."
            ) from error
    return 0


def loggers(folder: RunFolder, step: int) -> list[Logger]:
    """CSV, and TensorBoard where it is installed."""
    rows = MetricsLogger(folder.rows, step)
    try:
        require("tensorboard", "log", "A log for TensorBoard")
    except ImportError as missing:
        print(f"{missing} Logs are CSV alone.", file=sys.stderr)
        return [rows]
    board = TensorBoardLogger(folder.path, "tensorboard", "", default_hp_metric=False, purge_step=step or None)
    return [rows, board]


@torch.no_grad()
def evaluate(learner: Learner, data: TaskData) -> tuple[float, float]:
    """Loss and score on the test part."""
    batch = data.test_batch()
    inputs = batch.inputs.to(next(learner.parameters()).real.dtype)  # double, where it was trained in double precision
    prediction = learner.cpu().eval()(inputs, batch.lengths)
    return learner.task.loss(prediction, batch).item(), learner.task.score(prediction, batch)


def report(result: dict[str, Any]) -> None:
    """Print a result as a table."""
    print(f"{result['cell']} on {result['task']}, {result['steps']} steps; on sequences that it has not seen:")
    print(f"  loss        {result['loss']:.4g}   (remembering nothing costs {result['floor']:.4g})")
    print(f"  right       {result['score']:.1%}")
    if "solved" in result:
        print(f"  solved      {_ended(result)}")
    print(f"  time        {result['seconds']:.1f} s")
    print(f"  checkpoint  {printable(result['checkpoint'])}")


def _ended(result: dict[str, Any]) -> str:
    """When it was solved, or why it was not."""
    if result["solved"] is not None:
        return f"after {result['solved']} steps"
    if result["diverged"] is not None:
        return f"no: after {result['diverged']} steps the loss was no finite number"
    return f"not in {result['steps']} steps"
