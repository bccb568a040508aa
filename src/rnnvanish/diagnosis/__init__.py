"""Putting the probes together: what a model does to its gradient, why, what helps, and reports of it."""

from importlib import import_module
from typing import TYPE_CHECKING

from rnnvanish.diagnosis.assertion import assert_retention
from rnnvanish.diagnosis.diagnose import diagnose

if TYPE_CHECKING:
    from rnnvanish.diagnosis.comparison import Comparison, compare
    from rnnvanish.diagnosis.result import Diagnosis

__all__ = ["Comparison", "Diagnosis", "assert_retention", "compare", "diagnose"]
HOMES = {"Comparison": "comparison", "Diagnosis": "result", "compare": "comparison"}


def __getattr__(name: str) -> object:
    """Import what reports are made of where it is first used."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
