"""The report as one page that needs nothing else: no request, light and dark, and all of it there without a script."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rnnvanish.diagnosis.report.contents import Contents
from rnnvanish.diagnosis.report.svg import drawing, table
from rnnvanish.measure import Row
from rnnvanish.templates import render


def to_html(contents: Contents) -> str:
    """Write the whole page."""
    return str(render("report.html", contents=contents, together=_together, drawing=drawing, table=table))


def _together(rows: Sequence[Row]) -> Iterator[tuple[str, list[str]]]:
    """What is said in several rows in turn stands under one label."""
    for label, group in groupby(rows, key=lambda row: row[0]):
        yield label, [text for _, text in group]
