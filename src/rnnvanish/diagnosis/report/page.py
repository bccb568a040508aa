"""The report as one page that needs nothing else: no request, light and dark, and all of it there without a script."""

from collections.abc import Iterable
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING

from rnnvanish.diagnosis.fault import Finding
from rnnvanish.diagnosis.report.measures import Measures
from rnnvanish.diagnosis.report.rows import finding_rows, rows
from rnnvanish.diagnosis.report.svg import drawing, table
from rnnvanish.diagnosis.report.text import origin, title
from rnnvanish.names import escaped
from rnnvanish.probes.curve import Curve

if TYPE_CHECKING:
    from rnnvanish.diagnosis.diagnose import Diagnosis


def to_html(diagnosis: "Diagnosis") -> str:
    """Write the whole page."""
    here = files("rnnvanish.diagnosis.report")
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    found = "".join(map(_finding, diagnosis.findings))
    layers = "".join(_layer(name, curve, diagnosis.measures.get(name)) for name, curve in diagnosis.curves.items())
    rest = ""
    if diagnosis.outlook is not None:
        rest += f"<section><h2>Can it learn across {diagnosis.outlook.lag} steps?</h2><p>{escaped(str(diagnosis.outlook))}</p></section>"
    if diagnosis.unfit:
        each = "".join(f"<li>{escaped(f'{cure}: {why}')}</li>" for cure, why in diagnosis.unfit.items())
        rest += f"<section><h2>Could not be tried</h2><ul>{each}</ul></section>"
    head = escaped(title(diagnosis))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{head}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>\n{style}</style></head>\n'
        f"<body><main><h1>{head}</h1>{found}{layers}{rest}</main>"
        f"<footer>{escaped(origin(diagnosis))}</footer><script>\n{script}</script></body></html>\n"
    )


def _finding(finding: Finding) -> str:
    said = "".join(f"<p>{escaped(text)}</p>" for _, text in finding_rows(finding))
    return f'<section class="fault"><h2>{escaped(finding.fault)} in {escaped(finding.layer)}</h2>{said}</section>'


def _layer(name: str, curve: Curve, measured: Measures | None) -> str:
    figure = ""
    if curve.verdict != "unmeasured":
        values = f"<details><summary>All values</summary>{table(curve)}</details>"
        figure = f"<figure>{drawing(curve)}{values}</figure>"
    return (
        f'<section><h2>{escaped(name)}: <span class="{curve.verdict}">{curve.verdict}</span></h2>{figure}'
        f'<table class="said">{_rows(rows(curve, measured, full=True))}</table></section>\n'
    )


def _rows(said: Iterable[tuple[str, str]]) -> str:
    """A row for each label; what is said in several rows in turn stands under one."""
    written = ""
    for label, group in groupby(said, key=lambda row: row[0]):
        tag = "code" if label == "to apply" else "span"
        lines = "<br>".join(f"<{tag}>{escaped(text)}</{tag}>" for _, text in group)
        written += f'<tr><th scope="row">{escaped(label)}</th><td>{lines}</td></tr>'
    return written
