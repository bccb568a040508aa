"""What a run of `rnnvanish train` keeps on disk beside its checkpoints: its options, its rows, its result."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from rnnvanish.records.files import locked, write_whole

#: The file by which one process holds a folder.
LOCK = ".lock"
#: What a result is read for, and what it is.
RESULT = {name: str for name in ("task", "cell", "checkpoint")} | {
    name: (int, float) for name in ("loss", "score", "floor", "steps", "seconds")
}
ELSEWHERE = "name another folder with --out."


def is_first() -> bool:
    """Whether this process is the first, or the only one, of those that train a network together."""
    return not getattr(rank_zero_only, "rank", 0)


class RunFolder:
    """The folder of one run: repeating the command that began it goes on with it.

    Attributes:
        path: The folder.
        checkpoint: The state after the last whole epoch.
        best: The state after the epoch with the lowest validation loss.
        rows: The measurements, as CSV.

    Args:
        options: Everything that the run's numbers depend on, names and numbers alone.
        out: The folder; None for one in `runs/` that is named by task, cell and a digest of the options.

    Raises:
        ValueError: For a folder that holds something else, or a run with other options: says which differ.
    """

    def __init__(self, options: dict[str, Any], out: str | None = None) -> None:
        digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:6]
        task = re.sub(r"\W+", "-", Path(options["task"]).name)  # one of one's own is named by its file
        self.path = Path(out or f"runs/{task}-{options['cell']}-{digest}")
        self.checkpoint, self.best = self.path / "last.ckpt", self.path / "best.ckpt"
        self.rows = self.path / "metrics.csv"
        self.options = options
        self._check()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Begin the run, or go on with it, and let nobody else do so meanwhile.

        Of several processes that train one network together the first holds it, and it alone writes.

        Raises:
            ValueError: Where another process does; what was killed holds nothing any more.
        """
        if not is_first():
            yield
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOCK).open("a") as file:
            if not locked(file.fileno()):
                raise ValueError(f"{self.path} is being trained by another process: wait until it ends, or {ELSEWHERE}")
            self._check()
            self._write("options.json", self.options)
            yield

    @property
    def result(self) -> dict[str, Any] | None:
        """The result of the run; None until it is finished."""
        result = self._read("result.json")
        if result is not None and (
            wrong := [name for name, kind in RESULT.items() if not isinstance(result.get(name), kind)]
        ):
            raise ValueError(f"{self.path / 'result.json'} is no result: {wrong[0]} is missing or odd. Remove it.")
        return result

    def finish(self, result: dict[str, Any]) -> None:
        """Keep the result: the run is finished."""
        self._write("result.json", result)

    def _check(self) -> None:
        """Refuse a folder that holds something else."""
        begun = self._read("options.json")
        if begun is None:
            if self.path.exists() and not (
                self.path.is_dir() and {each.name for each in self.path.iterdir()} <= {LOCK}
            ):
                raise ValueError(f"{self.path} holds something that is no run: {ELSEWHERE}")
        elif differing := [name for name in {**begun, **self.options} if begun.get(name) != self.options.get(name)]:
            what = ", ".join(f"{name}={begun.get(name)} (now {self.options.get(name)})" for name in differing)
            raise ValueError(f"{self.path} holds a run with other options, {what}: {ELSEWHERE}")

    def _read(self, name: str) -> dict[str, Any] | None:
        file = self.path / name
        if not file.exists():
            return None
        if not file.is_file():  # to read a pipe would wait for ever
            raise ValueError(f"{file} is no file: {ELSEWHERE}")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file} is no JSON ({error}): {ELSEWHERE}") from error
        if not isinstance(content, dict):
            raise ValueError(f"{file} holds a {type(content).__name__}, no names and values: {ELSEWHERE}")
        return content

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_whole(self.path / name, json.dumps(content, indent=1) + "\n")


class MetricsLogger(Logger):
    """Measurements as CSV, a row for each time that something is logged, on disk at once.

    Args:
        path: The file.
        step: The optimiser steps that an interrupted run goes on from: its rows from there on are dropped, since they
            will come again.
    """

    name = "rows"
    version = ""

    def __init__(self, path: Path, step: int) -> None:
        super().__init__()
        self.path = path
        self.columns: list[str] = []
        if path.exists() and is_first():
            self._rewrite([], step)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the options stand beside the rows."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append a row."""
        row = {"step": step, **metrics}
        if new := [name for name in row if name not in self.columns]:
            self._rewrite(new)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerow(row)

    def _rewrite(self, new: list[str], step: int | None = None) -> None:
        """Add columns, and drop the rows from `step` on."""
        rows: list[dict[str, str]] = []
        if self.path.exists():
            try:
                with self.path.open(newline="", encoding="utf-8") as file:
                    reader = csv.DictReader(file)
                    rows = [row for row in reader if step is None or int(row["step"]) < step]
                    self.columns = list(reader.fieldnames or [])
            except (ValueError, TypeError, KeyError, csv.Error) as error:
                raise ValueError(f"{self.path} is no table of a run ({type(error).__name__}: {error}).") from error
        self.columns += new
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.path, text.getvalue())
