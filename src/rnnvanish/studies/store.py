"""Where the results of trials are kept: a JSON file a trial, written whole, named by the digest of its configuration."""

import json
import math
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from rnnvanish.cells import ALL as CELLS
from rnnvanish.console import to_json
from rnnvanish.mitigations import ALL as MITIGATIONS
from rnnvanish.names import lookup, written
from rnnvanish.records.files import locked, write_whole
from rnnvanish.records.ledger import digest
from rnnvanish.studies.trial import Trial, named
from rnnvanish.tasks import find

#: Of a record; one of a later version is not read.
SCHEMA = 1
STUDY, STOP, VERIFIED = "study.json", "stop", "verified.json"
State = Literal["done", "failed", "missing", "damaged"]


class Record(NamedTuple):
    """What is stored of a trial.

    Attributes:
        state: "done"; "failed", which keeps the traceback; "missing"; "damaged", where the file is no result of this trial.
        content: What the file holds; nothing where it is missing or damaged.
    """

    state: State
    content: dict[str, Any]


class Store:
    """The folder of a study's results. Several processes may use it at once, and folders can be merged by copying.

    Args:
        folder: The folder; it is made when something is first written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, trial: Trial) -> Path:
        """The file of a trial."""
        return self.folder / f"{trial.key}.json"

    def read(self, trial: Trial) -> Record:
        """Read what is stored of a trial."""
        try:
            content = from_json(self.path(trial).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Record("missing", {})
        except (OSError, ValueError, RecursionError):
            return Record("damaged", {})
        return checked(trial, content)

    def write(self, trial: Trial, content: dict[str, Any]) -> None:
        """Keep what came of a trial, whole or not at all."""
        write_whole(self.path(trial), to_json(content) + "\n")

    def version(self, trial: Trial) -> tuple[int, ...]:
        """Changes whenever something is written for a trial."""
        try:
            known = self.path(trial).stat()
        except FileNotFoundError:
            return ()
        return known.st_ino, known.st_mtime_ns

    def hold(self, trial: Trial) -> "Hold | None":
        """Take a trial for oneself; None where another process has it."""
        return Hold.take(self.folder / f".{trial.key}.lock")

    def is_held(self, trial: Trial) -> bool:
        """Whether a process is at a trial."""
        if not (path := self.folder / f".{trial.key}.lock").exists():
            return False
        hold = Hold.take(path)
        if hold is None:
            return True
        hold.release()  # what was killed holds nothing any more
        return False

    def others(self, trials: Iterable[Trial]) -> list[str]:
        """Names of the files that hold nothing of these trials."""
        ours = {self.path(trial).name for trial in trials} | {STUDY, VERIFIED}
        return sorted(path.name for path in self.folder.glob("*.json") if path.name not in ours)

    def ask_to_stop(self) -> None:
        """Ask whoever sweeps here to hand out no further trial."""
        write_whole(self.folder / STOP, "")

    def stop_asked(self) -> tuple[int, ...]:
        """Changes whenever it is asked to stop."""
        try:
            known = (self.folder / STOP).stat()
        except FileNotFoundError:
            return ()
        return known.st_ino, known.st_mtime_ns


class Hold:
    """A trial that is held by this process, until it is released or the process ends.

    Where the file system cannot lock everybody gets it: then two sweeps may do a trial twice, and store the same numbers.
    """

    def __init__(self, path: Path, file: IO[str]) -> None:
        self.path, self.file = path, file

    @classmethod
    def take(cls, path: Path) -> "Hold | None":
        """Take it; None where another process has it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open("a")
            try:
                free = locked(file.fileno())
            except OSError:  # no locks here
                free = True
            if not free:
                file.close()
                return None
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return cls(path, file)
            file.close()  # whoever had it removed it between our two calls

    def release(self) -> None:
        """Let it go. Its file goes first, while it is still held, so that nobody's is removed."""
        with suppress(OSError):
            self.path.unlink()
        self.file.close()


def checked(trial: Trial, content: Any) -> Record:
    """Say what a stored record is to a trial: damaged where it is none of this one."""
    fits = (
        isinstance(content, dict)
        and content.get("schema") == SCHEMA
        and content.get("trial") == trial.configuration
        and isinstance(content.get("provenance"), dict)
        and "code" in content["provenance"]
        and isinstance(content.get("result", content.get("failed")), dict)
    )
    if not fits:
        return Record("damaged", {})
    return Record("done" if "result" in content else "failed", content)


def code_of(trial: Trial) -> str:
    """Digest of the code that a trial computes with: of how it is trained, of its cell, its task and its mitigations."""
    cures = [MITIGATIONS[each.name] for each in written(trial.mitigations.replace("{lag}", "0"))]
    cell, task = lookup("cell", named("cell", trial.cell).name, CELLS), find(named("task", trial.task).name)
    return "-".join(
        _digest(module)[:6]
        for module in ["rnnvanish.studies.trial", *(each.__module__ for each in (cell, task, *cures))]
    )


@cache
def _digest(module: str) -> str:
    return digest(module)


def from_json(text: str) -> Any:
    """Read what `to_json` wrote.

    Raises:
        ValueError: For what is no JSON.
    """
    return _numbers(json.loads(text))


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return {"infinity": math.inf, "-infinity": -math.inf}.get(value, value) if isinstance(value, str) else value
