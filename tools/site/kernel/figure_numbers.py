"""Beside each figure of a page the numbers that it draws, as CSV, for those who want to draw them themselves."""

import csv
import io

from IPython.core.formatters import BaseFormatter
from traitlets import Unicode


def _rows(axes):
    """Every line, mark and bar of a plot: its name, and its places."""
    for number, line in enumerate(axes.get_lines(), 1):
        name = line.get_label()
        for x, y in line.get_xydata():
            yield f"line {number}" if name.startswith("_") else name, x, y
    for number, marks in enumerate(axes.collections, 1):
        name = marks.get_label()
        for x, y in _places(marks):
            yield f"marks {number}" if name.startswith("_") else name, x, y
    for bars in axes.containers:
        for bar in getattr(bars, "patches", ()):
            across = getattr(bars, "orientation", "vertical") == "vertical"
            yield (
                bars.get_label(),
                bar.get_x() + bar.get_width() / 2 if across else bar.get_width(),
                bar.get_height() if across else bar.get_y() + bar.get_height() / 2,
            )


def _places(marks):
    """Points of marks, ends of lines."""
    if hasattr(marks, "get_segments"):
        return [place for line in marks.get_segments() for place in line]
    return marks.get_offsets()


def numbers(figure):
    """Return what a figure draws as CSV: the name of a series, and its places on both axes."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for axes in figure.axes:
        found = [(name, f"{float(x):.6g}", f"{float(y):.6g}") for name, x, y in _rows(axes)]
        if found:
            rows.writerow(("series", axes.get_xlabel() or "x", axes.get_ylabel() or axes.get_title(loc="left") or "y"))
            rows.writerows(found)
    return text.getvalue()


class Numbers(BaseFormatter):
    """Asks the type itself: matplotlib's backend takes figures out of every list of types when it begins."""

    format_type = Unicode("application/vnd.rnnvanish.numbers")

    def __call__(self, shown):
        """Return the numbers of a figure, None of anything else."""
        return numbers(shown) if type(shown).__module__ == "matplotlib.figure" else None


def load_ipython_extension(shell):
    """Give every output that is a figure its numbers."""
    formatter = Numbers(parent=shell.display_formatter)
    shell.display_formatter.formatters[formatter.format_type] = formatter
