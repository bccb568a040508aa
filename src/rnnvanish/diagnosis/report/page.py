"""The report as one page that needs nothing else: no request, light and dark, and all of it there without a script."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rnnvanish.diagnosis.report.alike import grouped
from rnnvanish.diagnosis.report.contents import Contents, Layer
from rnnvanish.diagnosis.report.document import plain
from rnnvanish.diagnosis.report.rows import line, shown_of
from rnnvanish.diagnosis.report.svg import drawing, table
from rnnvanish.diagnosis.report.terms import INSIDE, TERMS
from rnnvanish.measure import Row
from rnnvanish.names import printable
from rnnvanish.templates import REPORT_FIGURES, render

#: Digits of a number that is drawn.
DIGITS = 6


def to_html(contents: Contents, training: str = "") -> str:
    """Write the whole page: the answer first, and what was measured besides folded; `training` is the picture of one, HTML."""
    curves = [layer.curve for layer in contents.layers]
    places = {id(curve): place for place, curve in enumerate(curves)}
    from markupsafe import Markup

    page = render(
        "report.html",
        contents=contents,
        training=Markup(training),
        data=[_drawn(layer) for layer in contents.layers],
        place=lambda curve: places[id(curve)],
        scripts=[*REPORT_FIGURES, "report.js"],
        layers=grouped(contents.layers),
        together=_together,
        drawing=drawing,
        table=table,
        terms=TERMS | INSIDE,
        pieces=_pieces,
        line=line,
        shown=shown_of,
        shows={
            "parts": any(len(curve.names) > 1 for curve in curves),
            "band": any(curve.low is not None for curve in curves),
        },
    )
    return str(page).lstrip()


def framed(contents: Contents) -> str:
    """The page in a frame, for a notebook."""
    from markupsafe import escape

    style = "width:100%;height:36rem;border:1px solid #8884;resize:vertical"
    return f'<iframe title="{escape(contents.title)}" srcdoc="{escape(to_html(contents))}" style="{style}"></iframe>'


def _pieces(text: str) -> list[str]:
    """Part a text where it has a word that is explained."""
    return re.split(rf"\b({'|'.join(INSIDE)})\b", text)


def _together(rows: Sequence[Row]) -> Iterator[tuple[str, list[str]]]:
    """What is said in several rows in turn stands under one label."""
    for label, group in groupby(rows, key=lambda row: row[0]):
        yield label, [text for _, text in group]


def _drawn(layer: Layer) -> tuple[str, Any]:
    """A layer as the scripts draw it: as in a report's JSON, without what they do not show."""
    curve = layer.curve
    names = ("verdict", "half_life", "reach", "joined", "cause", "factors", "advice", "gain", "low", "high", "parts")
    drawn = {name: plain(getattr(curve, name)) for name in names}
    return printable(layer.name), _rounded(drawn | {"alone": plain(curve.alone and curve.alone.gain)})


def _rounded(value: Any) -> Any:
    """The same with numbers of as many digits as are drawn."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
