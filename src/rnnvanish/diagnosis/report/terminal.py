"""The report for a terminal: the same lines as the plain text, in a table a layer, with colour."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rnnvanish.diagnosis.report.contents import Contents, Layer, Section
from rnnvanish.diagnosis.report.text import bars, scale
from rnnvanish.measure import Row
from rnnvanish.names import printable

COLOURS = {"vanishing": "bold red", "exploding": "bold magenta", "healthy": "bold green"}
ODD = "bold yellow"


def to_terminal(contents: Contents) -> RenderableType:
    """Lay the report out; what prints it decides on width and colour."""
    blocks: list[RenderableType] = [Text(contents.answer, style="bold"), ""]
    blocks += [*map(_finding, contents.findings), *map(_layer, contents.layers)]
    if contents.lines:
        blocks += [*map(Text, contents.lines), ""]
    if contents.outlook is not None:
        blocks += [*(Text(said) for _, said in contents.outlook.rows), ""]
    if contents.unfit:
        blocks += [
            Text("Could not be tried:"),
            *(Text(f"  {printable(f'{cure}: {why}')}") for cure, why in contents.unfit.items()),
            "",
        ]
    return Group(*blocks, Text(contents.origin, style="dim"))


def _finding(finding: Section) -> RenderableType:
    title = Text(f"{'question: ' if finding.question else ''}{finding.title}", "bold")
    return Panel(
        _rows(finding.rows), title=title, title_align="left", border_style="yellow" if finding.question else "red"
    )


def _layer(layer: Layer) -> RenderableType:
    curve = layer.curve
    colour = COLOURS.get(curve.verdict, ODD)
    head = Text.assemble((printable(layer.name), "bold"), ": ", (curve.verdict, colour))
    table = _rows([*layer.rows, *layer.more])
    drawn = Text.assemble((bars(curve), colour.split()[1]), f"  {scale(curve)}") if curve.is_measured else ""
    return Group(head, *([Padding(drawn, (0, 0, 0, 2))] if drawn else []), Padding(table, (0, 0, 1, 2)))


def _rows(rows: Sequence[Row]) -> Table:
    table = _table()
    before = ""
    for label, said in rows:
        table.add_row("" if label == before else label, Text(said))
        before = label
    return table


def _table() -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table
