"""Putting the probes together: what a model does to its gradient, why, what helps, and reports of it."""

from rnnvanish.diagnosis.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
