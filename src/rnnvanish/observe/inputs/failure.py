"""Where an error came from in somebody else's code, and what it says."""

import sysconfig
import traceback
from pathlib import Path

#: This package; and where Python keeps other people's.
OURS = Path(__file__).parents[2]
INSTALLED = {
    Path(path) for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")
}


def failure(error: BaseException) -> str:
    """Where an error came from in somebody else's code, and what it says: " (file.py, line 3): KeyError: 'x'"."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not Path(f.filename).is_relative_to(OURS)]
    frames = [f for f in frames if "importlib" not in f.filename and f.filename[0] != "<"]
    theirs = [f for f in frames if not any(Path(f.filename).is_relative_to(place) for place in INSTALLED)] or frames
    place = (theirs[-1].filename, theirs[-1].lineno) if theirs else None
    said = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, SyntaxError):
        place, said = (error.filename, error.lineno) if error.filename else None, f"{type(error).__name__}: {error.msg}"
    if isinstance(error, SystemExit):
        said = f"it ended the program by sys.exit({error.code!r}), where it should return."
    return f"{f' ({place[0]}, line {place[1]})' if place else ''}: {said}"
