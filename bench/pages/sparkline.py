"""A sparkline: a small line over commits, as SVG in the ink of the page."""

from collections.abc import Sequence

from markupsafe import Markup

from .render import render

WIDTH, HEIGHT = 120, 24
Place = tuple[float, float]  # how far along, 0 to 1, and the value


def sparkline(pieces: Sequence[Sequence[Place]], label: str, rings: Sequence[Place] = ()) -> Markup:
    """Draw a line, broken between its pieces, with rings around some places.

    The scale begins at zero: a change that looks large is large.
    """
    values = [value for piece in pieces for _, value in piece]
    low, high = min(0.0, *values) * 1.05, max(0.0, *values) * 1.05
    tall = high - low or 1.0

    def at(place: Place) -> tuple[str, str]:
        return f"{place[0] * WIDTH:.0f}", f"{(high - place[1]) / tall * HEIGHT:.0f}"

    return render(
        "sparkline.html",
        label=label,
        width=WIDTH,
        height=HEIGHT,
        lines=[" ".join(",".join(at(place)) for place in piece) for piece in pieces],
        rings=[at(place) for place in rings],
    )
