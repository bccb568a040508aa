"""What a run of `rnnvanish train` keeps on disk beside its checkpoints: its options, its rows, its result."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from rnnvanish.files import write_whole


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
        self.path = Path(out or f"runs/{options['task']}-{options['cell']}-{digest}")
        self.checkpoint, self.best = self.path / "last.ckpt", self.path / "best.ckpt"
        self.rows = self.path / "metrics.csv"
        begun = self._read("options.json")
        if begun is None:
            if self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir())):
                raise ValueError(f"{self.path} holds something that is no run: name another folder with --out.")
            self.path.mkdir(parents=True, exist_ok=True)
            self._write("options.json", options)
        elif differing := [name for name in {**begun, **options} if begun.get(name) != options.get(name)]:
            what = ", ".join(f"{name}={begun.get(name)} (now {options.get(name)})" for name in differing)
            raise ValueError(f"{self.path} holds a run with other options, {what}: name another folder with --out.")

    @property
    def result(self) -> dict[str, Any] | None:
        """The result of the run; None until it is finished."""
        return self._read("result.json")

    def finish(self, result: dict[str, Any]) -> None:
        """Keep the result: the run is finished."""
        self._write("result.json", result)

    def _read(self, name: str) -> dict[str, Any] | None:
        file = self.path / name
        content: dict[str, Any] | None = json.loads(file.read_text()) if file.exists() else None
        return content

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_whole(self.path / name, json.dumps(content, indent=1) + "\n")


class Rows(Logger):
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
        if path.exists():
            self._rewrite([], step)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the options stand beside the rows."""

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
            with self.path.open(newline="") as file:
                reader = csv.DictReader(file)
                rows = [row for row in reader if step is None or int(row["step"]) < step]
                self.columns = list(reader.fieldnames or [])
        self.columns += new
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.path, text.getvalue())
