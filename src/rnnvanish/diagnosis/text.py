"""The report for a terminal."""

import math
import textwrap
from typing import TYPE_CHECKING

from torch import Tensor

from rnnvanish.probes.curve import Curve

if TYPE_CHECKING:
    from rnnvanish.diagnosis.diagnosis import Diagnosis

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 40
PAGE = 78
#: How a user does what is advised.
APPLY = "from rnnvanish import mitigations; {}(model)"
#: Decades below the start at which the sparkline reaches its floor.
DECADES = 6


def to_text(diagnosis: "Diagnosis") -> str:
    """Write the report: a paragraph for each layer and direction."""
    blocks = [f"{diagnosis.model}: how much of the gradient reaches back in time"]
    blocks += [_layer(name, curve) for name, curve in diagnosis.curves.items()]
    origin = ", ".join(f"{name} {value}" for name, value in diagnosis.provenance.items())
    blocks.append(textwrap.fill(origin, PAGE))
    return "\n\n".join(blocks)


def _layer(name: str, curve: Curve) -> str:
    lines = [f"{name}: {curve.verdict}"]
    if curve.verdict == "unmeasured":
        why = "it ran for a single step" if len(curve.gain) < 2 else "the loss does not read the end of this loop"
        return f"{lines[0]}\n  {why}"
    last = len(curve.gain) - 1
    lines.append(f"  {sparkline(curve.gain)}  lag 0 to {last}, floor 1e-{DECADES}")
    lines.append(f"  half-life  {half_life(curve)}")
    lines.append(f"  reach      {curve.reach} of {last} steps until less than a thousandth is left")
    lines.append(f"  left       {left(curve)} of the gradient after {last} steps")
    lines += textwrap.wrap(curve.cause, PAGE, initial_indent="  cause      ", subsequent_indent=" " * 13)
    for number, advice in enumerate(curve.advice):
        lines.append(("  tried      " if number == 0 else " " * 13) + str(advice))
    if curve.advice:
        lines.append(f"  to apply   {APPLY.format(curve.advice[0].cure)}")
    if curve.verdict == "vanishing" and not curve.joined and not curve.advice:
        lines.append("  tried      no cure that was tried lengthens the half-life")
    return "\n".join(lines)


def sparkline(gain: Tensor) -> str:
    """Draw a curve in one line, on a logarithmic scale from one to a millionth; what lies below is a dot."""
    places = [round(i * (len(gain) - 1) / (WIDTH - 1)) for i in range(WIDTH)] if len(gain) > WIDTH else range(len(gain))
    drawn = ""
    for place in places:
        value = float(gain[place])
        if math.isnan(value) or value < 10**-DECADES:
            drawn += "."
        else:
            height = 1 + math.log10(value) / DECADES
            drawn += BLOCKS[min(int(height * len(BLOCKS)), len(BLOCKS) - 1)]
    return drawn


def half_life(curve: Curve) -> str:
    """The half-life in words."""
    if curve.joined:
        return "none: the loss reads this layer at more than one end, so gradient comes in again on the way"
    return "infinite: nothing is lost" if math.isinf(curve.half_life) else f"{curve.half_life:.3g} steps"


def left(curve: Curve) -> str:
    """What is left at the longest lag."""
    gain = float(curve.gain[-1])
    return "less than double precision can hold" if math.isnan(gain) else f"{gain:.2g}"
