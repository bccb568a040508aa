"""Results for other programs: a table as CSV or Parquet, a picture, and the file that the package itself reads."""

import csv
import io
from pathlib import Path
from typing import Any

from rnnvanish import plots
from rnnvanish.names import installed
from rnnvanish.records.files import write_whole
from rnnvanish.studies.reader import Results, write_results


def export(found: Results, path: str | Path) -> None:
    """Write the results of a study, a row a trial, without the curves; as .json with them, for `studies.results`.

    Raises:
        ValueError: For a name that ends otherwise than .csv, .parquet or .json; where there are no results.
        ImportError: Where what writes it is not installed: says how to install it.
    """
    path = Path(path)
    if path.suffix not in (".csv", ".parquet", ".json"):
        raise ValueError(f"--export needs a file that ends in .csv, .parquet or .json, got {path}.")
    if not found.rows:
        raise ValueError(f"{found.study.name} has no results yet: there is nothing to export.")
    if path.suffix == ".json":
        return write_results(found, path)
    rows = [{name: value for name, value in row.items() if name != "curve"} for row in found.rows]
    write_whole(path, _csv(rows) if path.suffix == ".csv" else _parquet(rows))


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    arrow, parquet = (installed(name, "cluster", "Parquet") for name in ("pyarrow", "pyarrow.parquet"))
    written = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows), written)
    return written.getvalue()


def plot(found: Results, path: str | Path) -> None:
    """Draw success by lag, a line for each network that the study compares, a panel for each task.

    Raises:
        ValueError: Where no task has a result at a lag.
        ImportError: Where matplotlib is not installed.
    """
    pyplot = installed("matplotlib.pyplot", "plot", "A picture")
    panels = {task: shares for task in found.study.every("tasks") if (shares := found.success(task))}
    if not panels:
        raise ValueError(f"{found.study.name} has no results at any lag yet: there is nothing to draw.")
    with pyplot.rc_context({"backend": "agg", "svg.hashsalt": found.study.name}):
        figure, axes = pyplot.subplots(
            1, len(panels), figsize=(5 * len(panels), 4), squeeze=False, layout="constrained"
        )
        for ax, (task, shares) in zip(axes[0], panels.items(), strict=True):
            plots.success(shares, task, ax)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        picture = io.BytesIO()
        figure.savefig(picture, format=Path(path).suffix.lstrip(".") or "svg", metadata={"Date": None})
        pyplot.close(figure)
    write_whole(path, picture.getvalue())
