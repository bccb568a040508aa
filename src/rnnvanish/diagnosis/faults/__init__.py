"""Faults that have a name, one file each: how one is seen in a model's run, what to do, and what that gives on a copy."""

from rnnvanish.diagnosis.faults.fault import Finding, find

__all__ = ["Finding", "find"]
