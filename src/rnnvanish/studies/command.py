"""The body of `rnnvanish sweep`."""

import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rnnvanish.console import complain, print_text
from rnnvanish.names import WrongUse, printable, require
from rnnvanish.studies.estimate import estimate
from rnnvanish.studies.export import export, plot
from rnnvanish.studies.progress import Progress
from rnnvanish.studies.reader import (
    COMMITTED,
    Results,
    collect,
    keep_verification,
    put_back,
    results,
    write_results,
)
from rnnvanish.studies.run import Attempt, Runner, attempt, sweep
from rnnvanish.studies.second_pass import SecondPass
from rnnvanish.studies.store import STUDY, Store
from rnnvanish.studies.study import Study, read
from rnnvanish.studies.table import best, duration, shown
from rnnvanish.studies.together import attempt_together
from rnnvanish.studies.trial import Trial, refusals
from rnnvanish.studies.verification import verify

#: How the command ends: its exit code, and what `--json` prints.
Ending = tuple[int, dict[str, Any]]


def run(
    study: str,
    out: str | None,
    mode: str,
    as_json: bool,
    *,
    retry: bool = False,
    begin_with: str | None = None,
    tensorboard: bool = False,
    devices: int = 1,
    exported: str | None = None,
    plotted: str | None = None,
    again: int = 0,
    runner: Runner | None = None,
) -> Ending:
    """Run a study, or say how far it is.

    Args:
        study: Its file, or the name of one that comes with the package.
        out: Folder of its results; None for studies/NAME.
        mode: "run"; "dry_run" says how much there is to do, "status" how much is done, "stop" asks whoever runs it to stop,
            "verify" runs some stored trials again.
        as_json: Whether to leave out what is for people.
        retry: Whether trials that failed are run again.
        begin_with: Results that are taken over before anything is run, as `studies.results` finds them.
        tensorboard: Whether each trial is logged for TensorBoard.
        devices: Processes that share each batch of a trial.
        exported: A file for the results.
        plotted: A file for the picture.
        again: How many trials are run again to verify what is stored.
        runner: Where trials run.

    Raises:
        WrongUse: For a study that there is not, and for what stops it.
    """
    try:
        given = COMMITTED / f"{study}.yaml"
        known = read(given if given.exists() and not Path(study).exists() else study)
        store = Store(out or f"studies/{known.name}")
        if mode == "dry_run":
            return _foretell(known, as_json)
        if mode == "stop":
            store.ask_to_stop()
            return 0, {"study": known.name, "folder": str(store.folder), "asked": "to stop"}
        progress = None
        if begin_with is not None:
            put_back(results(begin_with), store)
        if mode == "run":
            progress = _sweep(known, store, runner, retry, _attempt(store, tensorboard, devices), as_json)
        if mode == "verify":
            found = _verified(known, store, given.with_suffix(".json"), again)
        else:
            found = collect(known, store, f"rnnvanish sweep {study}" + (f" --out {out}" if out else ""))
        if exported:
            export(found, exported)
        if plotted:
            plot(found, plotted)
    except (ValueError, OSError, ImportError) as error:
        raise WrongUse(str(error)) from error
    except (KeyboardInterrupt, SystemExit) as end:
        said = "Interrupted: every result that was there is kept, and the same command goes on."
        complain(said)
        return (end.code if isinstance(end, SystemExit) and isinstance(end.code, int) else 130), {"error": said}
    if not as_json:
        _say(found, store, progress)
    differs = mode == "verify" and bool(found.verification and found.verification.differing)
    return int(bool(found.failed) or differs), _document(found, store)


def runner(workers: int | None, address: str | None, cpus: float, gpus: float) -> Runner | None:
    """Return what runs trials in processes of their own; None where nothing asks for that.

    Raises:
        WrongUse: For numbers out of range, and where Ray is not installed.
    """
    if (workers, address, cpus, gpus) == (None, None, 1.0, 0.0):
        return None
    from rnnvanish.studies.cluster import Cluster

    try:
        return Cluster(workers, address, cpus, gpus)
    except (ValueError, ImportError) as error:
        raise WrongUse(str(error)) from error


def _verified(study: Study, store: Store, committed: Path, count: int) -> Results:
    """Run stored trials again, and note beside the results what came of it: in their folder, or in the file that comes with us."""

    def report(trial: Trial, differs: str) -> None:
        complain(printable(f"{trial}: {differs or 'the same numbers'}"))

    swept = (store.folder / STUDY).exists() or not committed.exists()
    found = results(store.folder.resolve() if swept else committed)
    found = replace(found, verification=(note := verify(found.records, count, attempt, report)))
    if swept:
        keep_verification(note, store)
    else:
        write_results(found, committed)
    return found


def _sweep(
    study: Study, store: Store, runner: Runner | None, retry: bool, function: Attempt, as_json: bool
) -> Progress:
    with _terminated(), shown(study.name) as report, redirect_stdout(sys.stderr):  # what Ray says of lost processes
        progress = sweep(study, store, runner, retry=retry, function=function, report=report)
    if progress.refused and not as_json:
        for why, count in Counter(progress.refused.values()).items():
            complain(printable(f"{count} trials cannot be: {why}"))
    return progress


def _attempt(store: Store, tensorboard: bool, devices: int) -> Attempt:
    if devices < 1 or (tensorboard and devices > 1):
        raise ValueError(f"sweep needs devices >= 1, and 1 with --tensorboard, got {devices}.")
    if devices > 1:
        return partial(attempt_together, devices)
    if not tensorboard:
        return attempt
    require("tensorboard", "log", "--tensorboard")
    return partial(attempt_with_tensorboard, store.folder)


def attempt_with_tensorboard(folder: Path, trial: Trial) -> dict[str, Any]:
    """Run a trial, and log it for TensorBoard."""
    from pytorch_lightning.loggers import TensorBoardLogger

    logger = TensorBoardLogger(folder, "tensorboard", trial.key, default_hp_metric=False)
    return attempt(trial, logger=logger, log_every_n_steps=min(10, trial.check_every))


def _foretell(study: Study, as_json: bool) -> Ending:
    """Say how many trials there are, and how long they take."""
    trials = study.trials()
    refused = refusals(trials)
    possible = [trial for trial in trials if trial not in refused]
    if not possible:
        raise ValueError(
            f"{study.name} has no trial that can be: {next(iter(refused.values()), 'its lists are empty')}"
        )
    second = SecondPass(study)
    second.leave_out(refused)
    guess = estimate([*possible, *second.to_come])
    more = f", and {len(second.to_come)} more that follow from these" if second.to_come else ""
    if not as_json:
        print_text(
            f"{study.name}: {len(possible)} trials{more}. One after the other they take {duration(guess.seconds)} at most on this "
            f"machine, where none is solved before its budget is spent; {guess.timed} of {guess.networks} networks were timed.\n"
        )
        for why, count in Counter(refused.values()).items():
            print_text(printable(f"{count} more cannot be: {why}") + "\n")
    return 0, {
        "study": study.name,
        "trials": len(possible),
        "to_come": len(second.to_come),
        "seconds": round(guess.seconds, 1),
        "networks": guess.networks,
        "timed": guess.timed,
        "refused": _reasons(refused),
    }


def _say(found: Results, store: Store, progress: Progress | None) -> None:
    """Tell people how far it is."""
    print_text(printable(str(found)) + "\n")
    running = sum(store.is_held(trial) for trial in found.missing)
    if progress is not None and progress.stopped:
        print_text("It was asked to stop.\n")
    elif running:
        print_text(f"{running} are running now.\n")
    for trial, error in list(found.failed.items())[:5]:
        print_text(printable(f"  {trial}: {error}; its traceback is in {store.path(trial)}") + "\n")
    counted = Progress(len(found.rows))
    for trial, content in found.records.items():
        counted.count(trial, content)
    print_text("".join(f"  {printable(line)}\n" for line in best(counted)))


def _document(found: Results, store: Store) -> dict[str, Any]:
    return {
        "study": found.study.name,
        "folder": str(store.folder),
        "done": len(found.rows),
        "solved": sum(row["solved"] is not None for row in found.rows),
        "diverged": sum(row["diverged"] is not None for row in found.rows),
        "outdated": len(found.outdated),
        "verified": None if found.verification is None else vars(found.verification),
        "missing": len(found.missing),
        "to_come": found.to_come,
        "running": sum(store.is_held(trial) for trial in found.missing),
        "failed": [{"trial": str(trial), "error": error} for trial, error in found.failed.items()],
        "damaged": [str(store.path(trial)) for trial in found.damaged],
        "others": len(found.others),
        "refused": _reasons(found.refused),
    }


def _reasons(refused: Mapping[Trial, str]) -> list[dict[str, Any]]:
    return [{"why": why, "trials": count} for why, count in Counter(refused.values()).items()]


@contextmanager
def _terminated() -> Iterator[None]:
    """End by SIGTERM as by Ctrl+C, but with its own exit code."""

    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> NoReturn:
        received.append(128 + number)
        sys.exit(received[0])

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except SystemExit:  # while Ray waits it comes out as its own, whose exit code is 1
        if received:
            sys.exit(received[0])
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
