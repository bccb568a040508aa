"""Probes: they turn a model and sequences into numbers. One file a measure."""

from rnnvanish.probes.curve import Curve
from rnnvanish.probes.jacobian import jacobian
from rnnvanish.probes.lyapunov import lyapunov
from rnnvanish.probes.retention import retention

__all__ = ["Curve", "jacobian", "lyapunov", "retention"]
