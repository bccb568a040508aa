"""The report for a terminal: the same lines as the plain text, in a table a layer, with colour."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rnnvanish.diagnosis.fault import Finding
from rnnvanish.diagnosis.report.measures import Measures
from rnnvanish.diagnosis.report.rows import finding_rows, rows
from rnnvanish.diagnosis.report.text import origin, scale, sparkline, title
from rnnvanish.names import printable
from rnnvanish.probes.curve import Curve

if TYPE_CHECKING:
    from rnnvanish.diagnosis.diagnose import Diagnosis

COLOURS = {"vanishing": "bold red", "exploding": "bold magenta", "healthy": "bold green", "unmeasured": "bold yellow"}


def to_terminal(diagnosis: "Diagnosis", full: bool = False) -> RenderableType:
    """Lay the report out; what prints it decides on width and colour."""
    layers = [_layer(name, curve, diagnosis.measures.get(name), full) for name, curve in diagnosis.curves.items()]
    found = [_finding(finding) for finding in diagnosis.findings]
    outlook: list[RenderableType] = [] if diagnosis.outlook is None else [Text(str(diagnosis.outlook)), ""]
    return Group(
        Text(title(diagnosis), style="bold"), "", *found, *layers, *outlook, Text(origin(diagnosis), style="dim")
    )


def _finding(finding: Finding) -> RenderableType:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for row in finding_rows(finding):
        table.add_row(*map(Text, row))
    return Panel(
        table,
        title=Text(f"{finding.fault} in {printable(finding.layer)}", "bold"),
        title_align="left",
        border_style="red",
    )


def _layer(name: str, curve: Curve, measured: Measures | None, full: bool) -> RenderableType:
    colour = COLOURS[curve.verdict]
    head = Text.assemble((printable(name), "bold"), ": ", (curve.verdict, colour))
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    if curve.verdict != "unmeasured":
        table.add_row("curve", Text.assemble((sparkline(curve.gain), colour.split()[1]), f"  {scale(curve)}"))
    before = ""
    for label, said in rows(curve, measured, full):
        table.add_row("" if label == before else label, Text(said))
        before = label
    return Group(head, Padding(table, (0, 0, 1, 2)))
