"""The pages about speed and memory, made from what `bench/results` has; `bench.pages` knows how."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = "benchmarks"


_build: dict[str, float] = {}


def begin() -> None:
    """Start the clock of a build."""
    _build.update(started=time.perf_counter(), cached=0)


def note(cached: int) -> None:
    """Remember how many pages were not executed anew."""
    _build["cached"] = cached


def put(html: str, root: Path) -> str:
    """Fill the places that a page keeps for measured numbers."""
    if "data-rv-bench" not in html:
        return html
    if tool := _tool(root, "pages.placeholders"):
        return tool.fill(html, root)
    return re.sub(r'<div data-rv-bench="[\w-]+"></div>', "<p>Not available: this copy has no history.</p>", html)


def trends(html: str, root: Path, claims: list[Any]) -> str:
    """Add to each verdict of a page how its number came out at earlier commits."""
    if "rv-verdict" in html and (tool := _tool(root, "pages.claim_trend")):
        return tool.add_trends(html, root, {each.record["id"]: each.record for each in claims})
    return html


def write(root: Path, site: Path) -> None:
    """Write how long the build took, and what stands beside the pages."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=8", "--exclude=*"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    seconds = round(time.perf_counter() - _build["started"], 1)
    built = {"commit": commit, "seconds": seconds, "cached": _build["cached"]}  # for bench/site.py
    (site / "build.json").write_text(json.dumps(built), encoding="utf-8")
    if (site / FOLDER).is_dir() and (tool := _tool(root, "pages.placeholders")):
        tool.write(site / FOLDER, root)


def _tool(root: Path, name: str) -> Any:
    """A tool of the benchmarks; None where there is no history: in a shallow clone or an unpacked archive."""
    if not (root / "asv.conf.json").exists():
        return None
    if str(root) not in sys.path:
        sys.path.append(str(root))
    if not importlib.import_module("bench.stored.results").has_history(root):
        return None
    return importlib.import_module(f"bench.{name}")
