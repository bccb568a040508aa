"""What else was measured of each loop, besides its curve; and what a report says of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rnnvanish.probes.bypass import Bypass
from rnnvanish.probes.cases import Cases
from rnnvanish.probes.depth import Passage
from rnnvanish.probes.lyapunov import Spectrum
from rnnvanish.probes.resolution import Resolution
from rnnvanish.probes.saturation import Gate
from rnnvanish.probes.sensitivity import Sensitivity
from rnnvanish.probes.shares import Shares
from rnnvanish.probes.weights import Matrix

#: The part of a gradient that nearly all of it is.
NEARLY_ALL = 0.999
NAMES = {"h": "units"}


@dataclass(frozen=True, eq=False)
class Measures:
    """Measures of one loop; None where one could not be taken, as of a step that draws random numbers.

    Attributes:
        shares: Which lags the gradients of its weights come from.
        sensitivity: How the loss depends on what it reads, lag by lag.
        saturation: What its gates and units did.
        weights: What its recurrent matrices do alone.
        resolution: What number formats hold of its gradient.
        depth: What it passes on to the layer below.
        bypass: What of its gradient came past the recurrence.
        cases: Worst and typical case at several lags; of a full report.
        spectrum: Its leading Lyapunov exponents; of a full report.
    """

    shares: Shares | None = None
    sensitivity: Sensitivity | None = None
    saturation: Mapping[str, Gate] | None = None
    weights: Mapping[str, Matrix] | None = None
    resolution: Resolution | None = None
    depth: Passage | None = None
    bypass: Bypass | None = None
    cases: Cases | None = None
    spectrum: Spectrum | None = None


def main_rows(measured: Measures) -> list[tuple[str, str]]:
    """Say what matters first."""
    said = []
    shared, kept, past = measured.shares, measured.resolution, measured.bypass
    if shared is not None and len(shared.all) > 1 and not shared.all.isnan().any():
        steps = shared.steps(NEARLY_ALL)
        said.append(("weights", f"99.9 % of their gradient comes from the last {steps} of {len(shared.all)} steps"))
    if dead := sum(int(gate.dead.sum()) for name, gate in (measured.saturation or {}).items() if name == "h"):
        said.append(("dead", f"{dead} units never move"))
    if kept is not None and (lag := kept.lost_from.get(kept.own)) is not None:
        said.append(("rounding", f"{kept.own} rounds most of the gradient to zero from lag {lag} on"))
    if past is not None and (share := float(past.share[-1])) > 0.5:
        way = "of the gradient at the first step came by another way than the recurrence"
        said.append(("past it", f"{100 * min(share, 1.0):.0f} % {way}"))
    return said


def rest_rows(measured: Measures) -> list[tuple[str, str]]:
    """Say the rest."""
    said = []
    if measured.sensitivity is not None and not measured.sensitivity.share.isnan().any():
        steps = int((measured.sensitivity.share.cumsum(0) < NEARLY_ALL).sum()) + 1
        said.append(("input", f"99.9 % of what it can change in the loss comes from the last {steps} steps"))
    said += _gates(measured.saturation or {})
    for name, matrix in (measured.weights or {}).items():
        sizes = f"spectral radius {matrix.radius:.2g}, largest singular value {matrix.norm:.2g}"
        shape = f"non-normality {matrix.non_normality:.2g}, {matrix.from_orthogonal:.2g} from orthogonal"
        said.append(("matrix", f"{NAMES.get(name, name)}: {sizes}, {shape}"))
    if (kept := measured.resolution) is not None:
        lost = {name: lag for name, lag in kept.lost_from.items() if lag is not None and name != kept.own}
        said += [("rounding", f"{n} would round most of the gradient to zero from lag {k} on") for n, k in lost.items()]
    if measured.depth is not None and not math.isnan(measured.depth.gain):
        said.append(("depth", f"{measured.depth.gain:.2g} of the gradient goes on to what this loop reads"))
    if (each := measured.cases) is not None:
        worst, typical = float(each.worst[-1]), float(each.typical[-1])
        said.append(("cases", f"at lag {int(each.lag[-1])} the worst is {worst:.2g}, the typical {typical:.2g}"))
    if (found := measured.spectrum) is not None:
        pairs = zip(found.exponents.mean(0).tolist(), found.error.amax(0).tolist(), strict=True)
        told = ", ".join(
            f"{mean:.2g} ± {error:.1g}" if math.isfinite(error) else f"{mean:.2g}" for mean, error in pairs
        )
        said.append(("exponents", f"{told} nats per step (Lyapunov, the leading ones)"))
    return said


def _gates(gates: Mapping[str, Gate]) -> list[tuple[str, str]]:
    """Say which gates and units stand at their limits, or never move."""
    known = {NAMES.get(name, name): gate for name, gate in gates.items() if not math.isnan(gate.saturated)}
    said = [
        ("gates", f"{name}: {100 * gate.saturated:.0f} % of the time at a limit; {int(gate.dead.sum())} never move")
        for name, gate in known.items()
        if gate.saturated > 0.005 or gate.dead.any()
    ]
    return said or ([("gates", "none stands at a limit")] if known else [])
