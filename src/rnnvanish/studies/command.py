"""The body of `rnnvanish sweep`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from rnnvanish.names import WrongUse
from rnnvanish.studies.progress import Progress
from rnnvanish.studies.run import sweep
from rnnvanish.studies.store import Store
from rnnvanish.studies.study import Study, read


def run(study: str, out: str | None, retry: bool) -> tuple[int, dict[str, Any]]:
    """Run a study; returns the exit code, and what `--json` prints."""
    try:
        known = read(study)
        store = Store(out or f"studies/{known.name}")
        with _terminated():
            progress = sweep(known, store, retry=retry)
    except (ValueError, OSError) as error:
        raise WrongUse(str(error)) from error
    return int(progress.failed > 0), document(known, store, progress)


def document(study: Study, store: Store, progress: Progress) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "study": study.name,
        "folder": str(store.folder),
        "trials": progress.total,
        "done": progress.done,
        "failed": progress.failed,
        "solved": progress.solved,
        "diverged": progress.diverged,
        "left": progress.left,
        "refused": [{"trial": trial.configuration, "why": why} for trial, why in progress.refused.items()],
    }


@contextmanager
def _terminated() -> Iterator[None]:
    """End by SIGTERM as by Ctrl+C, but with its own exit code."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
