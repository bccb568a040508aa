"""Files that are written whole, where a reader is in the way, and locks, where the system has others than ours."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rnnvanish.records import files
from rnnvanish.records.files import locked, write_whole


@pytest.fixture
def in_use(monkeypatch):
    """A file that cannot be replaced a few times, as on Windows while somebody reads it; says how often was waited."""

    def pretend(platform, times):
        waited, replace = [], Path.replace

        def refuse(draft, path):
            if len(refused) < times:
                refused.append(path)
                raise PermissionError(13, "in use")
            return replace(draft, path)

        refused = []
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(Path, "replace", refuse)
        monkeypatch.setattr(files.time, "sleep", waited.append)
        return waited

    return pretend


@pytest.mark.parametrize("times", [0, 1, 3])
def test_on_windows_a_file_is_replaced_once_nobody_reads_it(in_use, tmp_path, times):
    waited = in_use("win32", times)
    write_whole(tmp_path / "file", "old")
    write_whole(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert len(waited) == times
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("platform", "times", "waits"), [("win32", 4, 3), ("linux", 1, 0)])
def test_what_stays_in_use_is_said_and_leaves_no_draft(in_use, tmp_path, platform, times, waits):
    (tmp_path / "file").write_text("old")
    waited = in_use(platform, times)
    with pytest.raises(PermissionError):
        write_whole(tmp_path / "file", "new")
    assert len(waited) == waits
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("error", "free"), [(None, True), (PermissionError(13, "taken"), False), (BlockingIOError(11, "taken"), False)]
)
def test_on_windows_a_byte_of_the_file_is_locked(monkeypatch, tmp_path, error, free):
    asked = []

    def locking(descriptor, mode, count):
        asked.append((mode, count))
        if error is not None:
            raise error

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    with (tmp_path / "lock").open("a") as file:
        assert locked(file.fileno()) is free
    assert asked == [(2, 1)]


def test_elsewhere_a_lock_is_held_until_its_file_is_closed(tmp_path):
    with (tmp_path / "lock").open("a") as first, (tmp_path / "lock").open("a") as second:
        assert locked(first.fileno())
        assert not locked(second.fileno())
        first.close()
        assert locked(second.fileno())
