"""What the engine keeps on disk, from one process to the next: whole or not at all, and never mistaken for another."""

import hashlib
import logging
import os
import pickle
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from rnnvanish.files import write_whole

logger = logging.getLogger("rnnvanish.engine")
#: Bytes of the checksum that a file begins with.
CHECKSUM = 32


def folders() -> list[Path]:
    """Folders to keep it in: the first that can be written."""
    chosen = os.environ.get("RNNVANISH_CACHE")
    if chosen:
        return [Path(chosen)]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnnvanish"
    shared = Path(tempfile.gettempdir()) / f"rnnvanish-{os.getuid()}"
    # What is found is run: not what somebody else has put where everybody can write.
    return [home] if shared.exists() and shared.stat().st_uid != os.getuid() else [home, shared]


def name_for(kind: str, *parts: bytes) -> str:
    """A name for what is made from some parts and from nothing else."""
    return f"rnnvanish_{kind}_{_digest(*parts).hex()[:20]}"


def read(name: str) -> Any:
    """What is kept under a name; None where nothing is, or a damaged file, or one of another name."""
    for path in (folder / name for folder in folders()):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if content[:CHECKSUM] == _digest(name.encode(), content[CHECKSUM:]):
            # Pickle runs what a file tells it to; these files hold machine code that is run in any case.
            return pickle.loads(content[CHECKSUM:])
    return None


def write(name: str, value: Any) -> None:
    """Keep something, where a folder can be written."""
    try:
        content = pickle.dumps(value)
    except RecursionError:  # nested too deeply: it is made anew
        return
    for folder in folders():
        try:
            write_whole(folder / name, _digest(name.encode(), content) + content)
        except OSError:
            continue
        return
    _say_that_nothing_is_kept()


@cache
def _say_that_nothing_is_kept() -> None:
    logger.warning(
        "What is compiled cannot be kept: every process compiles it anew. Set RNNVANISH_CACHE to a folder that can be "
        "written; tried: %s.",
        ", ".join(map(str, folders())),
    )


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"\0".join(parts)).digest()
