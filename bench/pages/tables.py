"""Tables of the pages."""

import html
from collections.abc import Sequence
from typing import NamedTuple

WIDE = 5  # columns from which on each row is a card on a phone


class Cell(NamedTuple):
    """A cell that is HTML already."""

    html: str


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> str:
    """A table, the first column of which names its rows.

    On a phone each row of a wide one is a card, where every number stands beside the name of its column.
    """
    columns = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in head)
    wide = len(head) >= WIDE
    names = [f' data-label="{html.escape(name)}"' if wide else "" for name in head]
    lines = "".join(
        f'<tr><th scope="row">{_inside(row[0])}</th>'
        + "".join(f"<td{name}>{_inside(text)}</td>" for name, text in zip(names[1:], row[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    whole = f"<table><caption>{html.escape(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="rv-cards">{whole}</div>' if wide else whole


def _inside(text: str | Cell) -> str:
    return text.html if isinstance(text, Cell) else html.escape(text)
