"""Draws the picture of the README from a measurement: what comes back of the gradient in an LSTM, before and after.

.venv/bin/python tools/readme_curve.py
"""

import math
from pathlib import Path

import torch
from torch import nn

from rnnvanish import mitigations, probes
from rnnvanish.numerals import in_words, one_in
from rnnvanish.probes.curve import Curve

FOLDER = Path(__file__).resolve().parent.parent / "docs/assets/readme"
STEPS = 100
TITLE = "How much of the gradient arrives, by steps back"
#: Text, lines of the scale, and the two curves.
COLOURS = {
    "light": ("#24292f", "#d0d7de", "#b3261e", "#1a5fa8"),
    "dark": ("#e6edf3", "#3d444d", "#ff8f85", "#79b8ff"),
}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 310, 64, 500, 44, 274
LOWEST = -20  # decades


def measure() -> tuple[Curve, Curve]:
    """The gradient of torch's LSTM with 64 units over 100 steps, as it starts and with the biases of `Chrono`."""
    found = []
    for cure in (lambda layer: layer, mitigations.Chrono(span=STEPS)):
        torch.manual_seed(0)
        layer, inputs = nn.LSTM(8, 64), torch.randn(STEPS, 16, 8)
        found.append(probes.retention(cure(layer), inputs)["LSTM/layer0/forward"])
    return found[0], found[1]


def drawing(before: Curve, after: Curve, scheme: str) -> str:
    """The picture as SVG, for a light or a dark page."""
    ink, rule, first, second = COLOURS[scheme]
    says = (
        f"An LSTM as PyTorch starts it loses half of the gradient every {in_words(before.half_life)} steps: of what "
        f"leaves the end, {one_in(float(before.gain[-1]))} arrives {STEPS - 1} steps back. With the biases of Chrono it "
        f"loses half every {in_words(after.half_life)} steps, and {one_in(float(after.gain[-1]))} arrives."
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" fill="{ink}"'
    parts = [
        f'{head} font-family="system-ui, sans-serif" font-size="16">',
        f"<title>{TITLE}</title>",
        f"<desc>{says}</desc>",
        f'<text x="{LEFT}" y="24" font-weight="600">{TITLE}</text>',
    ]
    for decade in range(0, LOWEST - 1, -5):
        y, named = _y(decade), "1" if decade == 0 else f"10{_raised(decade)}"
        parts.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}" stroke="{rule}"/>')
        parts.append(f'<text x="{LEFT - 10}" y="{y + 5:.1f}" text-anchor="end">{named}</text>')
    for lag in (*range(0, STEPS - 1, 20), STEPS - 1):
        parts.append(f'<text x="{_x(lag)}" y="{BOTTOM + 22}" text-anchor="middle">{lag}</text>')
    for curve, colour, (lag, decade), name in (
        (after, second, (36, -2.3), f"with Chrono(span={STEPS})"),
        (before, first, (46, -6.9), "as PyTorch starts it"),
    ):
        parts.append(f'<polyline points="{_points(curve)}" fill="none" stroke="{colour}" stroke-width="3"/>')
        for down, line in enumerate((name, f"half is lost every {in_words(curve.half_life)} steps")):
            y = f"{_y(decade) + 20 * down:.1f}"
            parts.append(f'<text x="{_x(lag)}" y="{y}" fill="{colour}">{line}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _x(lag: int) -> float:
    return round(LEFT + (RIGHT - LEFT) * lag / (STEPS - 1), 1)


def _y(decade: float) -> float:
    return round(TOP + (BOTTOM - TOP) * decade / LOWEST, 1)


def _points(curve: Curve) -> str:
    return " ".join(f"{_x(lag)},{_y(math.log10(gain))}" for lag, gain in enumerate(curve.gain.tolist()))


def _raised(decade: int) -> str:
    return str(decade).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def main() -> None:
    """Measure, and write both pictures."""
    curves = measure()
    for scheme in COLOURS:
        (FOLDER / f"curve-{scheme}.svg").write_text(drawing(*curves, scheme), encoding="utf-8")


if __name__ == "__main__":
    main()
