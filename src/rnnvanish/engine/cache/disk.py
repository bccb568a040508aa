"""What the engine keeps on disk, from one process to the next: whole or not at all, and never mistaken for another.

A file holds data and bytes, which nothing runs while they are read. Some of these bytes are machine code, which is run:
so they are taken from a folder and from files that are ours alone, see `private`.
"""

import hashlib
import json
import logging
import os
import tempfile
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

from rnnvanish.engine.cache.private_folder import MAX_FILE_BYTES, PrivateFolder, Refused

logger = logging.getLogger("rnnvanish.engine")
#: Bytes that a file begins with: of its checksum, and of the length of its data.
CHECKSUM, LENGTH = 32, 4


def folders() -> list[Path]:
    """Folders to keep it in, the best first; none where files have no owners, or nothing is to be kept."""
    chosen = os.environ.get("RNNVANISH_CACHE")
    if chosen == os.devnull or not hasattr(os, "geteuid"):
        return []
    if chosen:
        return [Path(chosen)]
    found = []
    with suppress(RuntimeError):  # no home
        found.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnnvanish")
    with suppress(FileNotFoundError):  # nowhere to write
        found.append(Path(tempfile.gettempdir()) / f"rnnvanish-{os.geteuid()}")
    return found


def name_for(kind: str, *parts: bytes) -> str:
    """A name for what is made from some parts and from nothing else."""
    return f"{kind}-{_digest(*parts).hex()[:32]}"


def read(name: str) -> tuple[Any, bytes] | None:
    """Data and bytes that are kept under a name; None where nothing is, or a damaged file, or one of another name."""
    for path in folders():
        try:
            with closing(_opened(path, make=False)) as folder:
                content = folder.read(name)
        except Refused as reason:
            _warn_that_it_is_not_used(path, str(reason))
            continue
        except OSError:
            continue
        if content is not None and content[:CHECKSUM] == _digest(name.encode(), content[CHECKSUM:]):
            start = CHECKSUM + LENGTH
            end = start + int.from_bytes(content[CHECKSUM:start])
            with suppress(ValueError, RecursionError):
                return json.loads(content[start:end]), content[end:]
    return None


def write(name: str, data: Any, numbers: bytes = b"") -> None:
    """Keep data (what JSON holds) and bytes, where a folder can be written."""
    text = json.dumps(data, separators=(",", ":")).encode()
    content = len(text).to_bytes(LENGTH) + text + numbers
    if len(content) + CHECKSUM > MAX_FILE_BYTES:
        return
    refused = False
    for path in folders():
        try:
            with closing(_opened(path, make=True)) as folder:
                folder.write(name, _digest(name.encode(), content) + content)
        except Refused as reason:
            refused = True
            _warn_that_it_is_not_used(path, str(reason))
            continue
        except OSError:
            continue
        return
    if not refused and os.environ.get("RNNVANISH_CACHE") != os.devnull:
        _warn_that_nothing_is_kept()


def _opened(path: Path, *, make: bool) -> PrivateFolder:
    """A folder; our own from earlier versions are closed, those that somebody has chosen are left as they are."""
    return PrivateFolder(path, make=make, close=not os.environ.get("RNNVANISH_CACHE"))


_warned: set[Path] = set()


def _warn_that_it_is_not_used(path: Path, reason: str) -> None:
    if path not in _warned:
        _warned.add(path)
        logger.warning(
            "The cache %s is not used: %s. Make that right, or set RNNVANISH_CACHE to a folder of yours.", path, reason
        )


@cache
def _warn_that_nothing_is_kept() -> None:
    tried = ", ".join(map(str, folders()))
    logger.warning(
        "What is compiled cannot be kept: every process compiles it anew. %s",
        f"Set RNNVANISH_CACHE to a folder that can be written; tried: {tried}."
        if tried
        else "There is no folder for it, or the owner of a file cannot be told on this system.",
    )


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"\0".join(parts)).digest()
