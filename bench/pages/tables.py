"""Tables of the pages."""

from collections.abc import Sequence

from markupsafe import Markup

from .render import render

WIDE = 5  # columns from which on each row is a card on a phone


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table, the first column of which names its rows; a cell may be markup.

    On a phone each row of a wide one is a card, where every number stands beside the name of its column.
    """
    cells = [list(zip(head, row, strict=True)) for row in rows]
    return render("table.html", caption=caption, head=head, rows=cells, wide=len(head) >= WIDE)
