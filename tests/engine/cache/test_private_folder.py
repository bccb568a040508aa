"""The folder of the cache: nothing is read that others could have written, whatever lies there."""

import errno
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from rnnvanish.engine.cache import private_folder
from rnnvanish.engine.cache.private_folder import PrivateFolder, Refused

A, B, C = (f"step-{letter * 32}" for letter in "abc")
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")


@pytest.fixture
def opened(tmp_path):
    """Open a folder, by default one that is made, as many times as is asked for."""
    folders = []

    def opened(path=tmp_path / "new" / "cache", *, make=True, close=False):
        folders.append(PrivateFolder(path, make=make, close=close))
        return folders[-1]

    yield opened
    for folder in folders:
        folder.close()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_is_closed_to_others(opened, tmp_path):
    before = os.umask(0)
    try:
        folder = opened()
        folder.write(A, b"content")
    finally:
        os.umask(before)
    path = tmp_path / "new" / "cache"
    assert (mode(path), mode(path / A)) == (0o700, 0o600)
    assert folder.read(A) == b"content"
    folder.write(A, b"another")
    assert opened(make=False).read(A) == b"another"
    assert folder.read(B) is None
    assert [each.name for each in path.iterdir()] == [A]


def test_where_there_is_no_folder_none_is_made_to_read(opened, tmp_path):
    with pytest.raises(FileNotFoundError):
        opened(make=False)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("bits", [0o755, 0o777, 0o1777, 0o770, 0o701])
def test_a_folder_that_others_can_open_is_refused_or_closed(bits, opened, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(bits)
    with pytest.raises(Refused, match=f"chmod 700 closes it, now it is {bits:o}"):
        opened(tmp_path / "cache")
    assert mode(tmp_path / "cache") == bits
    opened(tmp_path / "cache", close=True).write(A, b"content")
    assert mode(tmp_path / "cache") == 0o700


def test_one_that_cannot_be_closed_is_refused(opened, tmp_path, monkeypatch):
    """Where a file system knows no modes, or cannot be written."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o755)
    for fchmod in (lambda *_: None, failing(errno.EROFS)):
        monkeypatch.setattr(private_folder.os, "fchmod", fchmod)
        with pytest.raises(Refused, match="others can open it"):
            opened(tmp_path / "cache", close=True)


def failing(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("to", ["a folder of ours", "nothing", "a file"])
def test_a_link_in_the_place_of_the_folder_is_not_followed(to, opened, tmp_path):
    target = tmp_path / "target"
    if to == "a folder of ours":
        opened(target).write(A, b"planted")
    elif to == "a file":
        target.touch()
    (tmp_path / "cache").symlink_to(target)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Refused, match="it is a link, or no folder"):
        opened(tmp_path / "cache")
    assert sorted(tmp_path.rglob("*")) == before


def test_links_above_the_folder_are_its_owners_affair(opened, tmp_path):
    """A home on another disk: what lies at their end is looked at by itself."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    opened(tmp_path / "home" / "cache").write(A, b"content")
    assert opened(tmp_path / "disk" / "cache").read(A) == b"content"


def test_a_folder_of_another_user_is_refused(opened, tmp_path, monkeypatch):
    opened(tmp_path / "cache").write(A, b"planted")
    monkeypatch.setattr(private_folder.os, "geteuid", lambda: os.getuid() + 1)
    for close in (False, True):
        with pytest.raises(Refused, match="it belongs to another user"):
            opened(tmp_path / "cache", close=close)


def test_a_folder_that_is_replaced_once_it_was_looked_at_is_not_followed(opened, tmp_path):
    folder = opened(tmp_path / "cache")
    folder.write(A, b"ours")
    (tmp_path / "cache").rename(tmp_path / "moved")
    (tmp_path / "cache").mkdir(mode=0o777)
    (tmp_path / "cache" / A).write_bytes(b"planted")
    assert folder.read(A) == b"ours"
    folder.write(B, b"ours too")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [A]
    assert (tmp_path / "moved" / B).read_bytes() == b"ours too"


def link(path):
    (path.parent.parent / "planted").write_bytes(b"planted")
    path.symlink_to(path.parent.parent / "planted")


def hard_link(path):
    (path.parent.parent / "planted").write_bytes(b"planted")
    path.hardlink_to(path.parent.parent / "planted")


def writable(path):
    path.touch()
    path.chmod(0o620)


def huge(path):
    path.touch()
    os.truncate(path, private_folder.MAX_FILE_BYTES + 1)


def plug(path, here=os.getcwd):
    before = here()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(before)


PLANTED = [link, hard_link, writable, huge, os.mkfifo, os.mkdir, plug]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
@pytest.mark.timeout(20)
def test_what_is_no_file_of_ours_alone_is_not_read(plant, opened, tmp_path):
    folder = opened(tmp_path / "cache")
    plant(tmp_path / "cache" / A)
    with pytest.raises(Refused, match=f"{A} in it .*: remove it"):
        folder.read(A)
    if plant is not os.mkdir:  # all others are replaced, and what a link leads to stays
        folder.write(A, b"ours")
        assert folder.read(A) == b"ours"
        planted = tmp_path / "planted"
        assert not planted.exists() or planted.read_bytes() == b"planted"


def test_a_file_of_another_user_is_not_read(opened, tmp_path, monkeypatch):
    folder = opened(tmp_path / "cache")
    folder.write(A, b"planted")
    real = os.fstat

    def fstat(file):
        found = list(real(file))
        found[stat.ST_UID] += stat.S_ISREG(found[stat.ST_MODE])
        return os.stat_result(found)

    monkeypatch.setattr(private_folder.os, "fstat", fstat)
    with pytest.raises(Refused, match="not a file that we alone have written"):
        folder.read(A)


def test_what_was_not_used_for_longest_goes_first(opened, tmp_path, monkeypatch):
    path = tmp_path / "cache"
    folder = opened(path)
    for age, name in enumerate((A, B, C)):
        folder.write(name, bytes(10))
        os.utime(path / name, (time.time() - 1000 + age,) * 2)
    assert folder.read(A) == bytes(10)  # now it was used last
    monkeypatch.setattr(private_folder, "MAX_BYTES", 35)
    folder.write(f"loop-{'0' * 32}", bytes(10))
    assert {each.name[:6] for each in path.iterdir()} == {"loop-0", "step-a", "step-c"}
    monkeypatch.setattr(private_folder, "MAX_FILES", 2)
    folder.write(f"loop-{'1' * 32}", bytes(10))
    assert {each.name[:6] for each in path.iterdir()} == {"loop-0", "loop-1"}


def test_what_is_left_of_other_processes_and_versions_is_removed_and_nothing_else(opened, tmp_path):
    path = tmp_path / "cache"
    folder = opened(path)
    gone = [f".{A}.{'1' * 16}", f"rnnvanish_step_{'a' * 20}", f".rnnvanish_loop_{'b' * 20}.1234"]
    stay = [f".{A}.{'2' * 16}", "notes.txt", f"rnnvanish_step_{'a' * 20}.bak", f"{A}.bak"]
    for name in gone + stay:
        (path / name).touch()
    os.utime(path / gone[0], (time.time() - private_folder.ABANDONED - 60,) * 2)
    folder.write(B, b"")
    assert {each.name for each in path.iterdir()} == {B, *stay}


@pytest.mark.parametrize("what", ["disk", "folder"])
def test_a_full_disk_leaves_the_old_file_and_no_half_one(what, opened, tmp_path, monkeypatch):
    folder = opened(tmp_path / "cache")
    folder.write(A, b"old")
    if what == "folder":
        monkeypatch.setattr(private_folder.os, "replace", failing(errno.ENOSPC))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="No space left" if what == "folder" else "File too large"):
            folder.write(A, bytes(100 if what == "folder" else 2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert folder.read(A) == b"old"
    assert [each.name for each in (tmp_path / "cache").iterdir()] == [A]


#: Writes and reads what only a whole file can hold, in a folder that has room for three of four files.
WRITER = """
import hashlib, importlib.util, os, pathlib, random, sys
spec = importlib.util.spec_from_file_location("private", sys.argv[1])
private = importlib.util.module_from_spec(spec)
spec.loader.exec_module(private)
private.MAX_BYTES = 3 * 2**20
names = [f"step-{letter * 32}" for letter in "abcd"]
found, rounds = 0, int(sys.argv[3])
while rounds := rounds - 1:  # from 0 on without end
    folder = private.PrivateFolder(pathlib.Path(sys.argv[2]), make=True, close=False)
    half = (os.urandom(2**10) * 2**10)[32:]
    folder.write(random.choice(names), hashlib.sha256(half).digest() + half)
    content = folder.read(random.choice(names))
    if content is not None:
        found += 1
        assert hashlib.sha256(content[32:]).digest() == content[:32]
    folder.close()
print(found)
"""


def test_eight_processes_at_once_on_an_empty_folder_and_three_of_them_killed(tmp_path):
    command = [sys.executable, "-S", "-c", WRITER, private_folder.__file__, str(tmp_path / "cache")]
    rounds = ["0"] * 3 + ["100"] * 5  # those that are killed would never end
    processes = [subprocess.Popen([*command, each], stdout=subprocess.PIPE, text=True) for each in rounds]
    try:
        while not (tmp_path / "cache").exists():
            time.sleep(0.01)
        for process in processes[:3]:
            time.sleep(0.2)
            process.send_signal(signal.SIGKILL)
        found = [int(process.communicate(timeout=60)[0]) for process in processes[3:]]
    finally:
        for process in processes:
            process.kill()
    assert [process.wait() for process in processes[3:]] == [0] * 5
    assert min(found) > 0
    files = [path for path in (tmp_path / "cache").iterdir() if path.name[0] != "."]
    assert sum(path.stat().st_size for path in files) <= 3 * 2**20
