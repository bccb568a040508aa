"""What there is to measure: every benchmark of `bench/`, with its unit, its version and its sentence."""

import io
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from asv_runner.discovery import list_benchmarks

from .. import ROOT


@cache
def benchmarks(root: Path = ROOT) -> dict[str, dict[str, Any]]:
    """Every benchmark by its name, as asv's `benchmarks.json` has it."""
    finders, text = list(sys.meta_path), io.StringIO()
    list_benchmarks(str(root / "bench"), text)
    sys.meta_path[:] = finders  # asv puts one there that answers no other question
    return {each["name"]: each for each in json.loads(text.getvalue())}


def units() -> dict[str, str]:
    """Unit of each benchmark."""
    return {name: each["unit"] for name, each in benchmarks().items()}


def versions() -> dict[str, str]:
    """Version of each benchmark."""
    return {name: each["version"] for name, each in benchmarks().items()}
