"""A curve as an SVG and as the table that it is drawn from."""

import math

from rnnvanish.names import escaped
from rnnvanish.plots import decade, one_in
from rnnvanish.probes.curve import Curve

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 260, 156, 620, 14, 210
#: Rows of the table, and so points that can be read off, at most.
ROWS = 200


def drawing(curve: Curve) -> str:
    """Draw the curve on a logarithmic scale, its parts dashed; gaps where it is below resolution or an exact zero."""
    drawn = {"": curve.gain, **(curve.parts if len(curve.parts) > 1 else {})}
    found = {name: [(lag, math.log10(g)) for lag, g in enumerate(gain.tolist()) if g > 0 and math.isfinite(g)]
             for name, gain in drawn.items()}  # fmt: skip
    decades = [height for points in found.values() for _, height in points]
    top, bottom = math.ceil(max(0.0, *decades)), math.floor(min(-1.0, *decades))
    last = len(curve.gain) - 1

    def x(lag: float) -> float:
        return LEFT + (RIGHT - LEFT) * lag / last

    def y(height: float) -> float:
        return TOP + (BOTTOM - TOP) * (top - height) / (top - bottom)

    step = next(step for step in (1, 3, 6, 12, 24, 48, 96, 192, 384) if (top - bottom) / step <= 5)
    lines = "".join(
        f'<path class="grid" d="M{LEFT} {y(k):.1f}H{RIGHT}"/>'
        f'<text x="{LEFT - 8}" y="{y(k):.1f}" dy="5" text-anchor="end">{decade(k)}</text>'
        for k in range(-384, 385, step)
        if bottom <= k <= top
    )
    curves = "".join(
        f'<polyline class="{"part" if name else "whole"}" points="'
        + " ".join(f"{x(lag):.1f},{y(height):.1f}" for lag, height in points)
        + '"/>'
        for name, points in reversed(found.items())
    )
    band = ""
    if curve.low is not None and curve.high is not None:
        round_trip = [*enumerate(curve.low.tolist()), *reversed([*enumerate(curve.high.tolist())])]
        edge = [(lag, min(max(math.log10(g), bottom), top)) for lag, g in round_trip if g > 0 and math.isfinite(g)]
        band = '<polygon class="band" points="' + " ".join(f"{x(lag):.1f},{y(h):.1f}" for lag, h in edge) + '"/>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escaped(_says(curve, last))}" '
        f'data-left="{LEFT}" data-right="{RIGHT}" data-width="{WIDTH}" data-last="{last}">{lines}'
        f'<text x="{LEFT}" y="{BOTTOM + 24}">0</text>'
        f'<text x="{RIGHT}" y="{BOTTOM + 24}" text-anchor="end">{last} steps back</text>{band}{curves}'
        f'<path class="here" d="M0 {TOP}V{BOTTOM}" visibility="hidden"/></svg>'
    )


def _says(curve: Curve, last: int) -> str:
    parts = f" Dashed: its parts {' and '.join(curve.names)}." if len(curve.names) > 1 else ""
    end = one_in(float(curve.gain[-1]))
    if curve.low is not None:
        parts += f" Shaded: the 95 % interval over {len(curve.rates)} batches."
    return f"Line on a logarithmic scale: the gradient left against the steps back. After {last} steps: {end}.{parts}"


def table(curve: Curve) -> str:
    """Every value that is drawn, or as many as can be read."""
    last = len(curve.gain) - 1
    lags = sorted({round(i * last / (ROWS - 1)) for i in range(ROWS)}) if last >= ROWS else range(last + 1)
    names = curve.names if len(curve.names) > 1 else ()
    columns = [curve.gain, *(curve.parts[name] for name in names)]
    heads = "".join(f'<th scope="col">{escaped(name)}</th>' for name in ("steps back", "gradient left", *names))
    body = "".join(
        f'<tr><th scope="row">{lag}</th>'
        + "".join(f"<td>{one_in(float(gain[lag]))}</td>" for gain in columns)
        + "</tr>"
        for lag in lags
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
