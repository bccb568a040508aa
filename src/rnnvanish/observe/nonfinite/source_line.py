"""Which line of the user's code is running, and in which module of the model."""

import linecache
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from torch import nn

from rnnvanish.observe.inputs.failure import INSTALLED, OURS


@dataclass(frozen=True)
class SourceLine:
    """A line of the user's code.

    Attributes:
        path: Its file.
        number: Its number in that file.
        function: The function that it stands in.
        module: The innermost module of the model that was running; "" outside of all.
    """

    path: str
    number: int
    function: str
    module: str

    def __str__(self) -> str:
        """Where it is, and what stands there."""
        code = linecache.getline(self.path, self.number).strip()
        in_file = "" if _is_cell(self.path) else f"{Path(self.path).name}, line {self.number}"
        inside = "" if self.function.startswith("<") else f"in {self.function}()"
        return ": ".join(filter(None, (", ".join(filter(None, (in_file, inside))), code)))


def running_line(names: Mapping[int, str]) -> SourceLine:
    """The innermost line that is running and not of an installed package; `names` are those of modules, by identity."""
    frame: FrameType | None = sys._getframe(1)
    found, module, beyond = None, None, frame
    while frame is not None and (found is None or module is None):
        held = frame.f_locals.get("self") if module is None else None
        if isinstance(held, nn.Module) and id(held) in names:
            module = names[id(held)]
        if found is None and not _is_installed(frame.f_code.co_filename):
            found = frame
        beyond, frame = frame, frame.f_back
    line = found or beyond
    assert line is not None
    return SourceLine(line.f_code.co_filename, line.f_lineno, line.f_code.co_name, module or "")


def _is_installed(path: str) -> bool:
    if path.startswith("<@beartype"):  # what checks annotations is a line of nobody's
        return True
    where = Path(path)
    return where.is_relative_to(OURS) or any(where.is_relative_to(place) for place in INSTALLED)


def _is_cell(path: str) -> bool:
    """Whether it is a cell of a notebook, or was typed in: then its file says nothing."""
    return "ipykernel" in path or path.startswith("<")
