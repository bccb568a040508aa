"""The pages *Speed* and *Trends*: made from the recorded results while the site is built.

A page asks for a part with `<div data-rv-bench="NAME"></div>`; `PARTS` names them all.
"""

import re
from collections.abc import Callable
from pathlib import Path

from ..stored.recorded import Recorded
from ..stored.suite import ROOT
from . import explorer as explorer_page
from . import speed as speed_page
from . import trends as trends_page

PLACE = re.compile(r'<div data-rv-bench="([\w-]+)"></div>')
PARTS: dict[str, Callable[[Recorded], str]] = {
    "machines": speed_page.kinds,
    "cells": speed_page.cells,
    "growth": speed_page.growth,
    "stacks": speed_page.stacks,
    "looks": speed_page.looks,
    "engine": speed_page.engines,
    "peers": speed_page.peers,
    "noise": trends_page.noise,
    "worse": trends_page.worse,
    "missing": trends_page.missing,
    "explorer": explorer_page.explorer,
    "numbers": trends_page.numbers,
}


def put(text: str, root: Path = ROOT) -> str:
    """Fill the places that a page keeps."""
    if not PLACE.search(text):
        return text
    recorded = Recorded(root)
    return PLACE.sub(lambda place: PARTS[place[1]](recorded), text)


def write(folder: Path, root: Path = ROOT) -> None:
    """Write what stands beside the pages: the feed of regressions, and the numbers that the explorer asks for."""
    recorded = Recorded(root)
    (folder / "regressions.xml").write_text(trends_page.feed(recorded), encoding="utf-8")
    explorer_page.write(recorded, folder / explorer_page.FOLDER)
