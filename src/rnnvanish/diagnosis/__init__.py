"""Putting the probes together: what a model does to its gradient, why, what helps, and reports of it."""

from rnnvanish.diagnosis.assertion import assert_retention
from rnnvanish.diagnosis.comparison import Comparison, compare
from rnnvanish.diagnosis.diagnose import diagnose
from rnnvanish.diagnosis.result import Diagnosis

__all__ = ["Comparison", "Diagnosis", "assert_retention", "compare", "diagnose"]
