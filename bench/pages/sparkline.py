"""A small line over commits, as SVG in the ink of the page."""

import html
from collections.abc import Sequence

WIDTH, HEIGHT = 120, 24
Place = tuple[float, float]  # how far along, 0 to 1, and the value


def line(pieces: Sequence[Sequence[Place]], label: str, rings: Sequence[Place] = ()) -> str:
    """Draw a line, broken between its pieces, with rings around some places.

    The scale begins at zero: a change that looks large is large.
    """
    values = [value for piece in pieces for _, value in piece]
    low, high = min(0.0, *values) * 1.05, max(0.0, *values) * 1.05
    tall = high - low or 1.0

    def at(place: Place) -> tuple[str, str]:
        return f"{place[0] * WIDTH:.0f}", f"{(high - place[1]) / tall * HEIGHT:.0f}"

    paths = "".join(f'<polyline points="{" ".join(",".join(at(place)) for place in piece)}"/>' for piece in pieces)
    circles = "".join('<circle cx="{}" cy="{}" r="4"/>'.format(*at(place)) for place in rings)
    return (
        f'<svg viewBox="-4 -4 {WIDTH + 8} {HEIGHT + 8}" width="{WIDTH + 8}" height="{HEIGHT + 8}" fill="none" '
        f'stroke="currentColor" stroke-width="1.5" role="img" aria-label="{html.escape(label)}">{paths}{circles}</svg>'
    )
