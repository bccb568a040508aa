"""A folder of ours that is closed to others, and the files in it: looked at through descriptors, never by a link."""

import errno
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

#: Bytes and files that are kept: of more, those go first that were not used for longest.
MAX_BYTES, MAX_FILES = 2**28, 4096
#: Bytes of one file: none of ours comes near.
MAX_FILE_BYTES = 2**26
#: Seconds after which a file that is still being written belongs to a process that has ended.
ABANDONED = 3600

#: Names of files of ours, of those that are being written, and of those that earlier versions left.
OURS = re.compile(r"(step|loop)-[0-9a-f]{32}")
DRAFT = re.compile(rf"\.{OURS.pattern}\.[0-9a-f]{{16}}")
OLD = re.compile(r"\.?rnnvanish_(step|loop)_[0-9a-f]{20}(\.\d+)?")


class Refused(Exception):
    """What lies there may be somebody else's, and is not used: says why, and what to do."""


class PrivateFolder:
    """A folder that belongs to us and that nobody else can open, held by its descriptor.

    Whoever can write a folder above can put another in its place, but none that is ours: so those above do not matter.

    Args:
        path: Where it lies.
        make: Whether it is made where there is none.
        close: Whether one of ours that others can open is closed to them: else it is refused.

    Raises:
        Refused: Where it is a link or no folder, somebody else's, or open to others.
        OSError: Where there is none, or none can be made.
    """

    def __init__(self, path: Path, *, make: bool, close: bool) -> None:
        if make:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                path.mkdir(mode=0o700)
        try:
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP) and os.path.lexists(path):
                raise Refused("it is a link, or no folder") from None
            raise
        try:
            self._check(close)
        except BaseException:
            os.close(self._folder)
            raise

    def close(self) -> None:
        """Let go of it."""
        os.close(self._folder)

    def read(self, name: str) -> bytes | None:
        """What a file holds; None where there is none.

        Raises:
            Refused: Where it is no file of ours alone.
            OSError: Where it cannot be read.
        """
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        except OSError as error:  # a link, or a socket
            raise Refused(f"{name} in it cannot be opened ({error.strerror}): remove it") from None
        try:
            found = os.fstat(file)
            # A file that another process has just replaced has no name left.
            ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink <= 1
            if not ours or found.st_mode & 0o022 or found.st_size > MAX_FILE_BYTES:
                raise Refused(f"{name} in it is not a file that we alone have written: remove it")
            with suppress(OSError):
                os.utime(file)  # used last
            with open(file, "rb", closefd=False) as content:
                return content.read(MAX_FILE_BYTES)
        finally:
            os.close(file)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all, and remove what is too much.

        Raises:
            OSError: Where it cannot be written.
        """
        draft = f".{name}.{os.urandom(8).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(draft, flags, mode=0o600, dir_fd=self._folder)
        try:
            with open(file, "wb") as written:
                written.write(content)
            os.replace(draft, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft, dir_fd=self._folder)
            raise
        self._prune()

    def _check(self, close: bool) -> None:
        """Refuse it where it is not ours alone."""
        found = os.fstat(self._folder)
        if found.st_uid != os.geteuid():
            raise Refused("it belongs to another user")
        if found.st_mode & 0o077 and close:
            with suppress(OSError):
                os.fchmod(self._folder, 0o700)
                found = os.fstat(self._folder)
        if found.st_mode & 0o077:
            raise Refused(f"others can open it (chmod 700 closes it, now it is {stat.S_IMODE(found.st_mode):o})")

    def _prune(self) -> None:
        """Remove what was not used for longest, drafts of killed processes, and what earlier versions left."""
        kept, now = [], time.time()
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if OURS.fullmatch(entry.name):
                        kept.append((found.st_mtime, found.st_size, entry.name))
                    elif OLD.fullmatch(entry.name) or (
                        DRAFT.fullmatch(entry.name) and now - found.st_mtime > ABANDONED
                    ):
                        self._remove(entry.name)
        total = 0
        for count, (_, size, name) in enumerate(sorted(kept, reverse=True), start=1):
            total += size
            if count > MAX_FILES or total > MAX_BYTES:
                self._remove(name)

    def _remove(self, name: str) -> None:
        with suppress(OSError):  # another process was faster
            os.unlink(name, dir_fd=self._folder)
