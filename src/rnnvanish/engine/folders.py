"""Where on disk the engine keeps what it has made."""

import os
import tempfile
from pathlib import Path


def folders() -> list[Path]:
    """Folders to keep it in: the first that can be written."""
    chosen = os.environ.get("RNNVANISH_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnnvanish"
    return [Path(chosen)] if chosen else [home, Path(tempfile.gettempdir()) / f"rnnvanish-{os.getuid()}"]
