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
    if curve.verdict == "unmeasured":
        why = "it ran for a single step" if len(curve.gain) < 2 else "the loss does not read the end of this loop"
        return [("why", why), *notes]
    last = len(curve.gain) - 1
    lone = curve.journey if curve.joined and curve.journey is not None else None
    said = [
        ("half-life", half_life(curve)),
        ("reach", f"{curve.reach} of {last} steps until less than a thousandth is left"),
        (
            "left",
            f"{left(lone or curve)} of {'what came in at the end' if lone else 'the gradient'} after {last} steps",
        ),
    ]
    if curve.injected is not None and curve.journey is not None and (came_in := float(curve.injected[1:].nanmean())):
        said.append(
            ("on the way", f"{100 * came_in:.0f} % of the gradient at a step came in there; the rest travelled")
        )
        said.append(("travelled", f"{left(curve.journey)} of what came in at the end, after {last} steps"))
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
