"""The report for a terminal: the same lines as the plain text, in a table a layer, with colour."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rnnvanish.diagnosis.report.contents import Contents, Layer, Section
from rnnvanish.diagnosis.report.text import scale, sparkline
from rnnvanish.names import printable

COLOURS = {
    "vanishing": "bold red",
    "exploding": "bold magenta",
    "healthy": "bold green",
    "not read": "bold yellow",
    "nothing to carry": "bold yellow",
}


def to_terminal(contents: Contents) -> RenderableType:
    """Lay the report out; what prints it decides on width and colour."""
    outlook: list[RenderableType] = []
    if contents.outlook is not None:
        outlook = [*(Text(said) for _, said in contents.outlook.rows), ""]
    found, layers = map(_finding, contents.findings), map(_layer, contents.layers)
    return Group(Text(contents.title, style="bold"), "", *found, *layers, *outlook, Text(contents.origin, style="dim"))


def _finding(finding: Section) -> RenderableType:
    table = _table()
    for row in finding.rows:
        table.add_row(*map(Text, row))
    return Panel(table, title=Text(finding.title, "bold"), title_align="left", border_style="red")


def _layer(layer: Layer) -> RenderableType:
    curve = layer.curve
    colour = COLOURS[curve.verdict]
    head = Text.assemble((printable(layer.name), "bold"), ": ", (curve.verdict, colour))
    table = _table()
    if curve.is_measured:
        table.add_row("curve", Text.assemble((sparkline(curve.gain), colour.split()[1]), f"  {scale(curve)}"))
    before = ""
    for label, said in layer.rows:
        table.add_row("" if label == before else label, Text(said))
        before = label
    return Group(head, Padding(table, (0, 0, 1, 2)))


def _table() -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table
