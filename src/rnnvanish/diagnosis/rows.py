"""What a report says of a layer, line by line: written once, shown as text, on a terminal and on a page."""

import math

from rnnvanish.diagnosis.faults import Finding
from rnnvanish.probes.curve import Curve

#: How a user does what is advised.
APPLY = "from rnnvanish import mitigations; {}(model)"
#: Cures that a short report shows; a full one shows all that helped.
SHOWN = 3


def rows(curve: Curve, full: bool = False) -> list[tuple[str, str]]:
    """Say what was measured: pairs of what it is and what came out; several rows in turn may share their first half."""
    if curve.verdict == "unmeasured":
        why = "it ran for a single step" if len(curve.gain) < 2 else "the loss does not read the end of this loop"
        return [("why", why)]
    last = len(curve.gain) - 1
    said = [
        ("half-life", half_life(curve)),
        ("reach", f"{curve.reach} of {last} steps until less than a thousandth is left"),
        ("left", f"{left(curve)} of the gradient after {last} steps"),
    ]
    if full and len(curve.names) > 1:
        said += [("left", f"{left(curve.part(name))} in {name}") for name in curve.names]
    said.append(("cause", curve.cause))
    if curve.verdict == "vanishing" and not curve.joined:
        said += _cures(curve, full)
    return said


def finding_rows(finding: Finding) -> list[tuple[str, str]]:
    """Say what was found: in the same form."""
    return [("seen", finding.seen), ("to do", finding.remedy), ("tried", finding.tried)]


def _cures(curve: Curve, full: bool) -> list[tuple[str, str]]:
    if not curve.advice:
        return [("tried", "no cure that was tried lengthens the half-life")]
    shown = curve.advice if full else curve.advice[:SHOWN]
    tried = [("tried", str(advice)) for advice in shown]
    if rest := len(curve.advice) - len(shown):
        tried.append(("tried", f"and {rest} more that help{'s' if rest == 1 else ''} less"))
    return [*tried, ("to apply", APPLY.format(curve.advice[0].cure))]


def half_life(curve: Curve) -> str:
    """The half-life in words."""
    if curve.joined:
        return "none: the loss reads this layer at more than one end, so gradient comes in again on the way"
    return "infinite: nothing is lost" if math.isinf(curve.half_life) else f"{curve.half_life:.3g} steps"


def left(curve: Curve) -> str:
    """What is left at the longest lag."""
    gain = float(curve.gain[-1])
    return "less than double precision can hold" if math.isnan(gain) else f"{gain:.2g}"
