"""The report as one page that needs nothing else: no request, light and dark, and all of it there without a script."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rnnvanish.diagnosis.report.alike import grouped
from rnnvanish.diagnosis.report.contents import Contents
from rnnvanish.diagnosis.report.rows import line, shown_of
from rnnvanish.diagnosis.report.svg import drawing, table
from rnnvanish.diagnosis.report.terms import TERMS
from rnnvanish.measure import Row
from rnnvanish.templates import render


def to_html(contents: Contents) -> str:
    """Write the whole page: the answer first, and what was measured besides folded."""
    curves = [layer.curve for layer in contents.layers]
    page = render(
        "report.html",
        contents=contents,
        layers=grouped(contents.layers),
        together=_together,
        drawing=drawing,
        table=table,
        terms=TERMS,
        line=line,
        shown=shown_of,
        shows={
            "parts": any(len(curve.names) > 1 for curve in curves),
            "band": any(curve.low is not None for curve in curves),
        },
    )
    return str(page).lstrip()


def _together(rows: Sequence[Row]) -> Iterator[tuple[str, list[str]]]:
    """What is said in several rows in turn stands under one label."""
    for label, group in groupby(rows, key=lambda row: row[0]):
        yield label, [text for _, text in group]
