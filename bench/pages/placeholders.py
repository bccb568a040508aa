"""The pages of the benchmarks: placeholders in them are filled with what is recorded, while the site is built.

A page asks for a part with `<div data-rv-bench="NAME"></div>`; `PARTS` names them all.
"""

import re
from collections.abc import Callable
from pathlib import Path

from .. import ROOT
from ..stored.archive import Archive
from . import explorer, pictures, speed, trends

PLACEHOLDER = re.compile(r'<div data-rv-bench="([\w-]+)"></div>')
PARTS: dict[str, Callable[[Archive], str]] = {
    "over-commits": pictures.over_commits,
    "fields": pictures.fields,
    "counted": pictures.counted,
    "machines": speed.machines,
    "side-by-side": speed.side_by_side,
    "cells": speed.cells,
    "growth": speed.growth,
    "stacks": speed.stacks,
    "looks": speed.looks,
    "engine": speed.engine,
    "peers": speed.peers,
    "explorer": explorer.explorer,
    "noise": trends.noise,
    "worse": trends.worse,
    "missing": trends.missing,
    "numbers": trends.numbers,
}


def fill(text: str, root: Path = ROOT) -> str:
    """Fill the placeholders of a page."""
    if not PLACEHOLDER.search(text):
        return text
    archive = Archive(root)
    return PLACEHOLDER.sub(lambda found: PARTS[found[1]](archive), text)


def write(folder: Path, root: Path = ROOT) -> None:
    """Write what stands beside the pages: the feed of regressions, and the numbers that the explorer asks for."""
    archive = Archive(root)
    (folder / "regressions.xml").write_text(trends.feed(archive), encoding="utf-8")
    explorer.write(archive, folder / explorer.FOLDER)
