"""Probes: they turn a model and sequences into numbers. One file a measure."""

from rnnvanish.probes.bypass import bypass
from rnnvanish.probes.cases import cases
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.depth import depth
from rnnvanish.probes.jacobian import jacobian
from rnnvanish.probes.lyapunov import lyapunov, spectrum
from rnnvanish.probes.resolution import resolution
from rnnvanish.probes.retention import retention
from rnnvanish.probes.saturation import saturation
from rnnvanish.probes.sensitivity import sensitivity
from rnnvanish.probes.shares import shares
from rnnvanish.probes.weights import weights

__all__ = [
    "Curve",
    "bypass",
    "cases",
    "depth",
    "jacobian",
    "lyapunov",
    "resolution",
    "retention",
    "saturation",
    "sensitivity",
    "shares",
    "spectrum",
    "weights",
]
