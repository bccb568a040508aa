"""All words of the interface, for a translation to replace: verdicts, boxes, figures, tables, buttons; they stand in `words.json`."""

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def words() -> dict[str, Any]:
    """Return the words by where they stand; what stands in braces is filled in there."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("words.json").read_text(encoding="utf-8"))
    return found
