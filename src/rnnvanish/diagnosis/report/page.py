"""The report as one page that needs nothing else: no request, light and dark, and all of it there without a script."""

from collections.abc import Iterable
from importlib.resources import files
from itertools import groupby

from rnnvanish.diagnosis.report.contents import Contents, Layer, Section
from rnnvanish.diagnosis.report.svg import drawing, table
from rnnvanish.measure import Row
from rnnvanish.names import escaped


def to_html(contents: Contents) -> str:
    """Write the whole page."""
    here = files("rnnvanish.diagnosis.report")
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    found = "".join(map(_finding, contents.findings))
    layers = "".join(map(_layer, contents.layers))
    rest = ""
    if contents.outlook is not None:
        said = "".join(f"<p>{escaped(text)}</p>" for _, text in contents.outlook.rows)
        rest += f"<section><h2>{escaped(contents.outlook.title)}</h2>{said}</section>"
    if contents.unfit:
        each = "".join(f"<li>{escaped(f'{cure}: {why}')}</li>" for cure, why in contents.unfit.items())
        rest += f"<section><h2>Could not be tried</h2><ul>{each}</ul></section>"
    head = escaped(contents.title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{head}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>\n{style}</style></head>\n'
        f"<body><main><h1>{head}</h1>{found}{layers}{rest}</main>"
        f"<footer>{escaped(contents.origin)}</footer><script>\n{script}</script></body></html>\n"
    )


def _finding(finding: Section) -> str:
    said = "".join(f"<p>{escaped(text)}</p>" for _, text in finding.rows)
    return f'<section class="fault"><h2>{escaped(finding.title)}</h2>{said}</section>'


def _layer(layer: Layer) -> str:
    curve, figure = layer.curve, ""
    if curve.verdict != "unmeasured":
        values = f"<details><summary>All values</summary>{table(curve)}</details>"
        figure = f"<figure>{drawing(curve)}{values}</figure>"
    return (
        f'<section><h2>{escaped(layer.name)}: <span class="{curve.verdict}">{curve.verdict}</span></h2>{figure}'
        f'<table class="said">{_rows(layer.rows)}</table></section>\n'
    )


def _rows(said: Iterable[Row]) -> str:
    """A row for each label; what is said in several rows in turn stands under one."""
    written = ""
    for label, group in groupby(said, key=lambda row: row[0]):
        tag = "code" if label == "to apply" else "span"
        lines = "<br>".join(f"<{tag}>{escaped(text)}</{tag}>" for _, text in group)
        written += f'<tr><th scope="row">{escaped(label)}</th><td>{lines}</td></tr>'
    return written
