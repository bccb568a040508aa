"""Reference pages made from a catalogue of the package: `::: rnnvanish.cells.*` is every file of it that lists something."""

from __future__ import annotations

import importlib
import re

LINE = re.compile(r"^::: (rnnvanish\.\w+)\.\*$", re.MULTILINE)
#: Of each file its text and what it lists; of that nothing which all have alike.
ENTRY = """::: {module}
    options:
      heading_level: 2
      show_bases: false
      filters: ["!^_", "!^(forward|initial_state|output|output_size|scales|parallel|paper|small)$"]
      members: [{names}]
"""


def put(markdown: str) -> str:
    """Put an entry for each file in the place of the line for all."""
    return LINE.sub(lambda found: "\n".join(_entries(found[1])), markdown)


def _entries(package: str) -> list[str]:
    """The entries of a package, in the order of what it lists."""
    files: dict[str, list[str]] = {}
    for name, kind in sorted(importlib.import_module(package).ALL.items(), key=lambda each: each[0].lower()):
        files.setdefault(kind.__module__, []).append(name)
    return [ENTRY.format(module=module, names=", ".join(names)) for module, names in files.items()]
