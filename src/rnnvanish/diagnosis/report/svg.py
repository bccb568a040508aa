"""A curve as an SVG and as the table that it is drawn from."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rnnvanish.numerals import one_in
from rnnvanish.plots import decade
from rnnvanish.probes.curve import Curve
from rnnvanish.templates import render

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 260, 156, 620, 14, 210
#: Rows of the table, and so points that can be read off, at most.
ROWS = 200


def drawing(curve: Curve) -> "Markup":
    """Draw the curve on a logarithmic scale, its parts dashed; gaps where it is below resolution or an exact zero."""
    drawn = {"": curve.gain, **(curve.parts if len(curve.parts) > 1 else {})}
    found = {name: [(lag, math.log10(g)) for lag, g in enumerate(gain.tolist()) if g > 0 and math.isfinite(g)]
             for name, gain in drawn.items()}  # fmt: skip
    decades = [height for points in found.values() for _, height in points]
    top, bottom = math.ceil(max(0.0, *decades)), math.floor(min(-1.0, *decades))
    last = len(curve.gain) - 1

    def y(height: float) -> str:
        return f"{TOP + (BOTTOM - TOP) * (top - height) / (top - bottom):.1f}"

    def line(points: Iterable[tuple[int, float]]) -> str:
        return " ".join(f"{LEFT + (RIGHT - LEFT) * lag / last:.1f},{y(height)}" for lag, height in points)

    band = None
    if curve.low is not None and curve.high is not None:
        round_trip = [*enumerate(curve.low.tolist()), *reversed([*enumerate(curve.high.tolist())])]
        band = [(lag, min(max(math.log10(g), bottom), top)) for lag, g in round_trip if g > 0 and math.isfinite(g)]
    step = next(step for step in (1, 3, 6, 12, 24, 48, 96, 192, 384) if (top - bottom) / step <= 5)
    return render(
        "curve.html",
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=RIGHT,
        top=TOP,
        bottom=BOTTOM,
        last=last,
        says=_says(curve, last),
        marks=[(y(k), decade(k)) for k in range(-384, 385, step) if bottom <= k <= top],
        band=band and line(band),
        lines=[(name, line(points)) for name, points in reversed(found.items())],
    )


def _says(curve: Curve, last: int) -> str:
    parts = f" Dashed: its parts {' and '.join(curve.names)}." if len(curve.names) > 1 else ""
    end = one_in(float(curve.gain[-1]))
    if curve.low is not None:
        parts += f" Shaded: the 95 % interval over {len(curve.rates)} batches."
    return f"Line on a logarithmic scale: the gradient left against the steps back. After {last} steps: {end}.{parts}"


def table(curve: Curve) -> "Markup":
    """Every value that is drawn, or as many as can be read."""
    last = len(curve.gain) - 1
    lags = sorted({round(i * last / (ROWS - 1)) for i in range(ROWS)}) if last >= ROWS else range(last + 1)
    names = curve.names if len(curve.names) > 1 else ()
    columns = [curve.gain, *(curve.parts[name] for name in names)]
    rows = [(lag, [one_in(float(gain[lag])) for gain in columns]) for lag in lags]
    return render("values.html", heads=("steps back", "gradient left", *names), rows=rows)
