"""Running a study: what is missing is handed out, trial by trial, and each result is kept as it comes."""

import errno
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from rnnvanish.console import to_json
from rnnvanish.records.files import write_whole
from rnnvanish.records.provenance import provenance
from rnnvanish.studies.progress import Progress
from rnnvanish.studies.second_pass import SecondPass
from rnnvanish.studies.store import SCHEMA, STUDY, Hold, Store, code_of
from rnnvanish.studies.study import Study
from rnnvanish.studies.trial import Trial, refusals, run

T = TypeVar("T")
#: Takes a trial, returns what is stored of it.
Attempt = Callable[[Trial], dict[str, Any]]
#: Trials and what came of them; an exception where their process was lost.
Outcomes = Iterator[tuple[Trial, dict[str, Any] | Exception]]
#: Seconds that a full disk is waited for, and between two looks at it, or at what another sweep has.
PATIENCE, PAUSE = 60.0, 0.5


@runtime_checkable
class Runner(Protocol):
    """What runs trials: here, in other processes, on other machines."""

    def map(self, function: Attempt, trials: Iterable[Trial]) -> Outcomes:
        """Yield each trial with what `function` returned, in the order in which they end.

        Trials are taken when there is somebody to run them and not before: one that is taken is held by this sweep. A trial
        whose process was lost comes back with an exception. Closing the iterator gives up what is in progress.
        """


class InProcess:
    """Runs one trial after the other, in this process.

    Args:
        **trainer: Options of Lightning's Trainer that change no number, such as a logger.
    """

    def map(self, function: Attempt, trials: Iterable[Trial]) -> Outcomes:
        """Yield each trial with what came of it."""
        for trial in trials:
            yield trial, function(trial)


class DiskFull(OSError):
    """A result could not be written; what had been written before is there."""


def attempt(trial: Trial, **trainer: Any) -> dict[str, Any]:
    """Run a trial; what is stored of it: its result, or how it failed.

    Args:
        trial: The trial.
        **trainer: Options of Lightning's Trainer that change no number, such as a logger.
    """
    try:
        return _record(trial) | run(trial, **trainer)
    except Exception as error:  # noqa: BLE001  # a trial that fails must not end the study
        return failure(trial, error)


def failure(trial: Trial, error: BaseException) -> dict[str, Any]:
    """What is stored of a trial that failed."""
    told = "".join(traceback.format_exception(error))
    return _record(trial) | {"failed": {"error": f"{type(error).__name__}: {error}", "traceback": told}}


def _record(trial: Trial) -> dict[str, Any]:
    here = _provenance() | {"code": code_of(trial)}
    return {"schema": SCHEMA, "trial": trial.configuration, "provenance": here}


@cache
def _provenance() -> dict[str, str]:
    return provenance() | {"threads": "1"}


def sweep(
    study: Study,
    store: Store,
    runner: Runner | None = None,
    *,
    retry: bool = False,
    function: Attempt = attempt,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Run the trials of a study that have no result yet, and keep each result when it is there.

    Where the study has a second pass, its trials come as soon as the results are there that they follow from.

    Other sweeps may work in the same folder, on this machine or another: a trial that one of them has is waited for, and
    taken over where that sweep was killed.

    Args:
        study: The study.
        store: Where results are kept.
        runner: Where trials run; by default in this process.
        retry: Whether trials that failed are run again.
        function: Runs a trial.
        report: Is called with how far it is, whenever that changes.

    Returns:
        How it ended: where `progress.stopped`, somebody asked for it.

    Raises:
        DiskFull: Where there was no room for a result for a minute.
    """
    second, progress = SecondPass(study), Progress(0)
    work = _Work(store, runner or InProcess(), function, progress, report, second, retry, store.stop_asked())
    todo = work.left_of(study.trials())
    progress.refused = refusals(todo)
    second.leave_out(progress.refused)
    todo = {trial: version for trial, version in todo.items() if trial not in progress.refused}
    progress.total = progress.done + progress.failed + len(todo) + len(second.to_come)
    if todo:
        _patiently(partial(write_whole, store.folder / STUDY, to_json(vars(study)) + "\n"), store)
    progress.begin()
    report(progress)
    while todo and not progress.stopped:
        todo = work.run_what_nobody_has(todo)
        if todo and not progress.stopped:
            time.sleep(PAUSE)
    return progress


@dataclass
class _Work:
    """One sweep's share in a folder."""

    store: Store
    runner: Runner
    function: Attempt
    progress: Progress
    report: Callable[[Progress], None]
    second: SecondPass
    retry: bool
    stop_asked_before: tuple[int, ...]
    todo: dict[Trial, tuple[int, ...]] = field(default_factory=dict)
    held: dict[Trial, Hold] = field(default_factory=dict)

    def left_of(self, trials: Iterable[Trial]) -> dict[Trial, tuple[int, ...]]:
        """Count the trials that have ended; returns the others and what follows, with the versions of their files."""
        left: dict[Trial, tuple[int, ...]] = {}
        for trial in trials:
            version, known = self.store.version(trial), self.store.read(trial)
            if known.state in ("missing", "damaged") or (self.retry and known.state == "failed"):
                left[trial] = version
            else:
                left |= self._ended(trial, known.content)
        return left

    def run_what_nobody_has(self, todo: dict[Trial, tuple[int, ...]]) -> dict[Trial, tuple[int, ...]]:
        """Run trials, and those that follow from their results; returns what is left, such as those that other sweeps have."""
        self.todo = dict(todo)
        others: dict[Trial, tuple[int, ...]] = {}
        try:
            with closing(_generator(self.runner.map(self.function, self._handed_out(others)))) as outcomes:
                for trial, outcome in outcomes:
                    content = failure(trial, outcome) if isinstance(outcome, Exception) else outcome
                    _patiently(partial(self.store.write, trial, content), self.store)
                    self._let_go(trial)
                    self._follow(self._ended(trial, content, here=True))
        finally:
            for trial in list(self.held):
                self._let_go(trial)
        return others | self.todo

    def _handed_out(self, others: dict[Trial, tuple[int, ...]]) -> Iterator[Trial]:
        while self.todo:
            if self.store.stop_asked() != self.stop_asked_before:
                self.progress.stopped = True
                return
            self._look_at(others)
            trial = next(iter(self.todo))
            version = self.todo.pop(trial)
            hold = _patiently(partial(self.store.hold, trial), self.store)
            if hold is None:
                others[trial] = version
            elif self.store.version(trial) != version:  # another sweep has done it meanwhile
                hold.release()
                self._follow(self._ended(trial, self.store.read(trial).content))
            else:
                self.held[trial] = hold
                self.progress.running = len(self.held)
                self.report(self.progress)
                yield trial

    def _look_at(self, others: dict[Trial, tuple[int, ...]]) -> None:
        """Count what other sweeps have done meanwhile, so that what follows from it is not left to the end."""
        for trial, version in list(others.items()):
            if self.store.version(trial) != version:
                del others[trial]
                self._follow(self._ended(trial, self.store.read(trial).content))

    def _ended(self, trial: Trial, content: dict[str, Any], here: bool = False) -> dict[Trial, tuple[int, ...]]:
        """Count a trial that has ended; returns what is left of those that follow from it."""
        self.progress.count(trial, content, here)
        return self.left_of(self.second.add(trial, content["result"])) if "result" in content else {}

    def _follow(self, following: dict[Trial, tuple[int, ...]]) -> None:
        """Do these next."""
        self.todo = following | self.todo
        self.report(self.progress)

    def _let_go(self, trial: Trial) -> None:
        self.held.pop(trial).release()
        self.progress.running = len(self.held)


def _generator(outcomes: Outcomes) -> Generator[tuple[Trial, dict[str, Any] | Exception], None, None]:
    """Close what a runner returns, also where it is no generator."""
    try:
        yield from outcomes
    finally:
        with suppress(AttributeError):
            outcomes.close()  # type: ignore[attr-defined]


def _patiently(do: Callable[[], T], store: Store) -> T:
    """Do what needs room on a disk; a full one is waited for."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return do()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            if time.monotonic() > until:
                raise DiskFull(
                    error.errno,
                    f"There is no room in {store.folder}. Every result that was written is there; make room, and the same "
                    "command goes on.",
                ) from error
            time.sleep(PAUSE)
