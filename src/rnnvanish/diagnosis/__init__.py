"""Putting the probes together: what a model does to its gradient, why, what helps, and reports of it."""

from rnnvanish.diagnosis.assertion import assert_retention
from rnnvanish.diagnosis.diagnose import Diagnosis, diagnose
from rnnvanish.diagnosis.report.comparison import Comparison, compare

__all__ = ["Comparison", "Diagnosis", "assert_retention", "compare", "diagnose"]
