"""The report as one page: no script, no request, light and dark."""

import html
import math
from typing import TYPE_CHECKING

from rnnvanish.diagnosis.text import APPLY, half_life, left
from rnnvanish.probes.curve import Curve

if TYPE_CHECKING:
    from rnnvanish.diagnosis.diagnosis import Diagnosis

WIDTH, HEIGHT, MARGIN = 640, 240, 60

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #55606d; --line: #d5dbe2; --curve: #0063a6; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dde4eb; --soft: #aab6c3; --line: #333d49; --curve: #6cb8f0; --page: #141b23; }
}
body { font: 17px/1.6 system-ui, sans-serif; color: var(--ink); background: var(--page);
       max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.25; overflow-wrap: anywhere; } h2 { margin-top: 2.5rem; font-size: 1.15rem; }
svg { width: 100%; height: auto; color: var(--soft); } svg text { font-size: 13px; fill: currentColor; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; width: 8.5rem; }
th, td { padding: .35rem .5rem .35rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
.verdict { font-weight: 650; } footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
"""


def to_html(diagnosis: "Diagnosis") -> str:
    """Write the whole page."""
    layers = "".join(_layer(name, curve) for name, curve in diagnosis.curves.items())
    origin = ", ".join(f"{name} {html.escape(value)}" for name, value in diagnosis.provenance.items())
    title = f"{html.escape(diagnosis.model)}: how much of the gradient reaches back in time"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><main><h1>{title}</h1>{layers}</main><footer>{origin}</footer></body></html>\n"
    )


def _layer(name: str, curve: Curve) -> str:
    head = f'<section><h2>{html.escape(name)}: <span class="verdict">{curve.verdict}</span></h2>'
    if curve.verdict == "unmeasured":
        return f"{head}<p>There is one step only, or the loss does not read the end of this loop.</p></section>"
    last = len(curve.gain) - 1
    rows = {
        "Half-life": half_life(curve),
        "Reach": f"{curve.reach} of {last} steps until less than a thousandth is left",
        "Left": f"{left(curve)} of the gradient after {last} steps",
        "Cause": curve.cause,
    }
    if curve.verdict == "vanishing" and not curve.joined:
        rows["Tried on a copy"] = "\n".join(map(str, curve.advice)) or "no cure lengthens the half-life"
    if curve.advice:
        rows["To apply"] = APPLY.format(curve.advice[0].cure)
    cells = "".join(
        f'<tr><th scope="row">{key}</th><td>{html.escape(value).replace(chr(10), "<br>")}</td></tr>'
        for key, value in rows.items()
    )
    return f"{head}{_drawing(curve)}<table>{cells}</table></section>"


def _drawing(curve: Curve) -> str:
    """The curve on a logarithmic scale; gaps where it lies below resolution or is an exact zero."""
    points = [
        (int(lag), math.log10(gain))
        for lag, gain in zip(curve.lag, curve.gain.tolist(), strict=True)
        if gain > 0 and math.isfinite(gain)
    ]
    top = max(0.0, *(decade for _, decade in points))
    bottom = min(-1.0, *(decade for _, decade in points))
    last = len(curve.gain) - 1

    def place(lag: float, decade: float) -> str:
        x = MARGIN + (WIDTH - MARGIN - 10) * lag / last
        y = 12 + (HEIGHT - 52) * (top - decade) / (top - bottom)
        return f"{x:.1f},{y:.1f}"

    line = " ".join(place(*point) for point in points)
    labels = "".join(
        f'<text x="{MARGIN - 6}" y="{place(0, decade).partition(",")[2]}" dy="4" text-anchor="end">{text}</text>'
        for decade, text in ((top, f"{10**top:.1g}"), (bottom, f"{10**bottom:.1g}"))
    )
    says = f"Line, logarithmic scale: the gradient left falls to {left(curve)} after {last} steps back."
    if curve.gain[-1] >= 1:
        says = f"Line, logarithmic scale: the gradient is {left(curve)} times as large after {last} steps back."
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{says}">'
        f'<path d="M{MARGIN} 12V{HEIGHT - 40}H{WIDTH - 10}" fill="none" stroke="currentColor"/>{labels}'
        f'<text x="{MARGIN}" y="{HEIGHT - 20}">0</text>'
        f'<text x="{WIDTH - 10}" y="{HEIGHT - 20}" text-anchor="end">{last} steps back</text>'
        f'<polyline points="{line}" fill="none" stroke="var(--curve)" stroke-width="2.5"/></svg>'
    )
