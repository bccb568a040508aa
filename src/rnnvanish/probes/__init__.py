"""Probes: they turn a model and sequences into numbers.

One file a measure. A new one is its file and its line in `ALL`. What happens between the model and a measure, and in
which order, `backward.each_loop` says.
"""

from typing import Any

from rnnvanish.measure import Measure
from rnnvanish.probes.bypass import BYPASS, bypass
from rnnvanish.probes.cases import CASES, cases
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.depth import DEPTH, depth
from rnnvanish.probes.first_nan import first_nan
from rnnvanish.probes.jacobian import jacobian
from rnnvanish.probes.lyapunov import SPECTRUM, lyapunov, spectrum
from rnnvanish.probes.resolution import RESOLUTION, resolution
from rnnvanish.probes.retention import retention
from rnnvanish.probes.saturation import SATURATION, saturation
from rnnvanish.probes.sensitivity import SENSITIVITY, sensitivity
from rnnvanish.probes.shares import SHARES, shares
from rnnvanish.probes.trajectory import trajectory
from rnnvanish.probes.weights import WEIGHTS, weights

#: What a report has of every loop, in this order.
ALL: tuple[Measure[Any], ...] = (
    SHARES,
    SENSITIVITY,
    SATURATION,
    WEIGHTS,
    RESOLUTION,
    DEPTH,
    BYPASS,
    CASES,
    SPECTRUM,
)

__all__ = [
    "ALL",
    "Curve",
    "bypass",
    "cases",
    "depth",
    "first_nan",
    "jacobian",
    "lyapunov",
    "resolution",
    "retention",
    "saturation",
    "sensitivity",
    "shares",
    "spectrum",
    "trajectory",
    "weights",
]
