"""What a report says of a layer, line by line: written once, shown as text, on a terminal and on a page."""

import math

from rnnvanish import probes
from rnnvanish.diagnosis.advice.trial import Trial
from rnnvanish.measure import Measures, Row
from rnnvanish.names import printable
from rnnvanish.probes.curve import Curve

#: Cures that a short report shows; a full one shows all that helped.
SHOWN = 3


def rows(curve: Curve, measured: Measures | None = None, full: bool = False) -> list[Row]:
    """Say what was measured: pairs of what it is and what came out; several rows in turn may share their first half."""
    return [(label, printable(text)) for label, text in _rows(curve, measured, full)]


def _rows(curve: Curve, measured: Measures | None, full: bool) -> list[Row]:
    notes = [("note", note) for note in curve.notes]
    if not curve.is_measured:
        why = "no part of this loop is read by the loss" if not curve.is_read else "it ran for a single step"
        return [("why", why), *notes]
    last = len(curve.gain) - 1
    said = [
        ("half-life", half_life(curve)),
        ("reach", f"{curve.reach} of {last} steps until less than a thousandth is left"),
        ("left", f"{left(curve)} of the gradient after {last} steps"),
    ]
    if curve.start:
        said.append(("start", curve.start))
    if curve.total is not None and curve.total.is_measured:
        said.append(("whole loss", f"{left(curve.total)} after {last} steps, with what it adds on the way"))
    if full and len(curve.names) > 1:
        said += [("left", f"{left(curve.part(name))} in {name}") for name in curve.names]
    if curve.cause:
        said.append(("cause", curve.cause))
    said += notes
    known = measured or Measures()
    taken = [(each, known[each.name]) for each in probes.ALL if known.get(each.name) is not None]
    said += [row for measure, result in taken for row in measure.main_rows(result)]
    if full:
        said += [row for measure, result in taken for row in measure.rest_rows(result)]
    if curve.verdict in ("vanishing", "exploding") and not curve.joined:
        said += _cures(curve, full)
    return said


def _cures(curve: Curve, full: bool) -> list[Row]:
    if not curve.advice:
        return [("tried", "nothing that was tried helps here")]
    shown = curve.advice if full else curve.advice[:SHOWN]
    tried = [("tried", str(advice)) for advice in shown]
    if rest := len(curve.advice) - len(shown):
        tried.append(("tried", f"and {rest} more that help{'s' if rest == 1 else ''} less"))
    return [*tried, ("to apply", best.apply)] if isinstance(best := curve.advice[0], Trial) else tried


def half_life(curve: Curve) -> str:
    """The half-life in words."""
    if curve.joined:
        return "none: the loss reads this layer at more than one end, so gradient comes in again on the way"
    if math.isinf(curve.half_life):
        return "infinite: nothing is lost"
    return f"{curve.half_life:.3g} steps{_between(curve)}"


def _between(curve: Curve) -> str:
    """The interval of a half-life over batches."""
    if curve.rate_interval is None:
        return ""
    low, high = (math.log(2) / -rate if rate < 0 else math.inf for rate in curve.rate_interval)
    return f" ({low:.3g} to {high:.3g}: 95 % over {len(curve.rates)} batches)"


def left(curve: Curve) -> str:
    """What is left at the longest lag."""
    gain = float(curve.gain[-1])
    return "less than double precision can hold" if math.isnan(gain) else f"{gain:.2g}"
