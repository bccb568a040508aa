"""Files are written whole or not at all, and held by one process at a time."""

import os
import secrets
import sys
import time
from pathlib import Path


def write_whole(path: str | Path, content: str | bytes) -> Path:
    """Write `content` beside `path` and move it there: a reader, or a run that is cut off, never sees half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")  # of this thread, and of this machine
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        put_in_place(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def put_in_place(draft: Path, path: Path) -> None:
    """Rename a file; on Windows as soon as nobody reads the one that it takes the place of."""
    for wait in (0.01, 0.1, 1.0) if sys.platform == "win32" else ():
        try:
            draft.replace(path)
            return
        except PermissionError:
            time.sleep(wait)
    draft.replace(path)


def locked(descriptor: int) -> bool:
    """Take a file that is open for writing for oneself, until it is closed or the process ends; False where it is taken."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
