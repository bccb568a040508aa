"""Why recurrent networks forget, and what helps: measured."""

from importlib import import_module

from rnnvanish import deprecated  # noqa: F401  # finds old modules

TYPE_CHECKING = False  # typing would have to be imported first
if TYPE_CHECKING:
    from rnnvanish import cells, mitigations, probes
    from rnnvanish.diagnosis import assert_retention
    from rnnvanish.diagnosis.diagnose import diagnose
    from rnnvanish.monitor.watch import watch
    from rnnvanish.recurrent import Recurrent
    from rnnvanish.training.monitor import RetentionMonitor

    __version__: str

__all__ = ["Recurrent", "RetentionMonitor", "assert_retention", "cells", "diagnose", "mitigations", "probes", "watch"]
HOMES = {
    "Recurrent": "recurrent",
    "RetentionMonitor": "training.monitor",
    "assert_retention": "diagnosis",
    "diagnose": "diagnosis",
    "watch": "monitor.watch",
}


def __getattr__(name: str) -> object:
    """Import a public name where it is first used: torch takes seconds, which the command line may not need."""
    if name == "__version__":
        return import_module("importlib.metadata").version("rnnvanish")
    if name not in __all__:
        raise AttributeError(f"module 'rnnvanish' has no attribute {name!r}")
    if name in HOMES:
        return getattr(import_module(f"rnnvanish.{HOMES[name]}"), name)
    return import_module(f"rnnvanish.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
