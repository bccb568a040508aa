"""What the engine keeps on disk: where, in which form, and what it says where it cannot."""

import json
import logging
import os
import pickle
from pathlib import Path

import pytest

from rnnvanish.engine.cache import disk, private_folder

NAME = disk.name_for("step", b"parts")


@pytest.fixture(autouse=True)
def log(caplog, monkeypatch):
    monkeypatch.setattr(disk, "_warned", set())
    disk._warn_that_nothing_is_kept.cache_clear()
    caplog.set_level(logging.WARNING, logger="rnnvanish.engine")
    return caplog


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNVANISH_CACHE", str(tmp_path / "chosen"))
    return tmp_path / "chosen"


@pytest.fixture
def nobody(tmp_path, monkeypatch):
    """No variables of this machine, and folders of its own."""
    for name in ("RNNVANISH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(disk.tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


def test_data_and_bytes_come_back(folder, log):
    data = {"a": [1, -0.0, float("inf"), True, None, "word"], "b": {}}
    disk.write(NAME, data, b"\0bytes\xff")
    found, numbers = disk.read(NAME)
    assert json.dumps(found) == json.dumps(data)
    assert numbers == b"\0bytes\xff"
    disk.write(NAME, [])
    assert disk.read(NAME) == ([], b"")
    assert disk.read(disk.name_for("step", b"other parts")) is None
    assert not log.records


def test_what_is_damaged_or_of_another_name_is_not_there(folder):
    disk.write(NAME, {"data": 1}, bytes(100))
    path = folder / NAME
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert disk.read(NAME) is None
        path.write_bytes(whole[:at])
        assert disk.read(NAME) is None
    other = disk.name_for("step", b"other parts")
    path.rename(folder / other)
    (folder / other).write_bytes(whole)
    assert disk.read(other) is None
    (folder / other).rename(path)
    assert disk.read(NAME) == ({"data": 1}, bytes(100))


class Planted:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize(
    "content", [b"", b"[" * 10**5, b"{", b"\xff", b"1" * 10**4, "pickle"],
    ids=["nothing", "deep", "half", "no text", "a long number", "pickle"],
)  # fmt: skip
def test_nonsense_with_a_right_checksum_is_not_there(content, folder, tmp_path):
    """Whoever could write here could run programs; but nothing is run to read."""
    disk.write(NAME, None)
    if content == "pickle":
        content = pickle.dumps(Planted(tmp_path / "it ran"))
    for body in (content, len(content).to_bytes(disk.LENGTH) + content):
        (folder / NAME).write_bytes(disk._digest(NAME.encode(), body) + body)
        assert disk.read(NAME) is None
    assert not (tmp_path / "it ran").exists()


def test_old_pickles_are_never_read_and_go_away(nobody):
    old = nobody / "home" / ".cache" / "rnnvanish"
    old.mkdir(parents=True)
    old.chmod(0o755)
    content = pickle.dumps(Planted(nobody / "it ran"))
    for name in (f"rnnvanish_step_{'a' * 20}", NAME):
        (old / name).write_bytes(disk._digest(name.encode(), content) + content)
        (old / name).chmod(0o644)
        assert disk.read(name) is None
    disk.write(NAME, "new")
    assert [path.name for path in old.iterdir()] == [NAME]
    assert old.stat().st_mode & 0o777 == 0o700
    assert not (nobody / "it ran").exists()


def test_where_it_lies(nobody, monkeypatch):
    temporary = nobody / "temporary" / f"rnnvanish-{os.geteuid()}"
    assert disk.folders() == [nobody / "home" / ".cache" / "rnnvanish", temporary]
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert disk.folders() == [Path("/elsewhere/rnnvanish"), temporary]
    monkeypatch.setenv("RNNVANISH_CACHE", "/chosen")
    assert disk.folders() == [Path("/chosen")]


def test_without_a_home_without_a_temporary_folder_and_without_owners(nobody, monkeypatch, log):
    def none(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(disk.Path, "home", none)
    assert disk.folders() == [nobody / "temporary" / f"rnnvanish-{os.geteuid()}"]
    disk.write(NAME, 1)
    assert disk.read(NAME) == (1, b"")
    monkeypatch.setattr(disk.tempfile, "gettempdir", lambda: (_ for _ in ()).throw(FileNotFoundError()))
    assert disk.folders() == []
    monkeypatch.undo()
    monkeypatch.delattr(disk.os, "geteuid")  # as on Windows
    assert disk.folders() == []
    assert disk.read(NAME) is None
    assert not log.records
    disk.write(NAME, 1)
    disk.write(NAME, 2)
    assert [record.getMessage().partition(":")[0] for record in log.records] == ["What is compiled cannot be kept"]


def test_one_line_says_what_is_not_used_and_the_next_folder_is(nobody, log):
    home = nobody / "home" / ".cache"
    home.mkdir(parents=True)
    (nobody / "planted").mkdir(mode=0o700)
    (home / "rnnvanish").symlink_to(nobody / "planted")
    for _ in range(3):
        disk.write(NAME, 1)
        assert disk.read(NAME) == (1, b"")
    (said,) = log.messages
    assert said == (
        f"The cache {home / 'rnnvanish'} is not used: it is a link, or no folder. Make that right, or set "
        "RNNVANISH_CACHE to a folder of yours."
    )
    assert not list((nobody / "planted").iterdir())


def test_a_planted_folder_in_the_place_of_the_fallback_is_not_used(nobody, log, monkeypatch):
    """Everybody can write there; and there is no home here."""
    monkeypatch.setenv("HOME", "/dev/null")
    disk.write(NAME, 1)
    (path,) = (nobody / "temporary").iterdir()
    real = private_folder.os.fstat
    monkeypatch.setattr(
        private_folder.os, "fstat", lambda file: os.stat_result([*real(file)[:4], 4321, *real(file)[5:]])
    )
    disk.write(NAME, 2)
    assert disk.read(NAME) is None
    (said,) = log.messages
    assert said.startswith(f"The cache {path} is not used: it belongs to another user.")


def test_a_chosen_folder_that_is_open_to_others_is_left_as_it_is(folder, log):
    folder.mkdir()
    folder.chmod(0o755)
    disk.write(NAME, 1)
    assert disk.read(NAME) is None
    assert not list(folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o755
    (said,) = log.messages
    assert "chmod 700 closes it, now it is 755" in said
    folder.chmod(0o700)
    disk.write(NAME, 1)
    assert disk.read(NAME) == (1, b"")


def test_it_can_be_turned_off(monkeypatch, log):
    monkeypatch.setenv("RNNVANISH_CACHE", os.devnull)
    disk.write(NAME, 1)
    assert disk.read(NAME) is None
    assert not log.records


def test_what_is_too_large_to_be_read_is_not_written(folder, monkeypatch):
    monkeypatch.setattr(disk, "MAX_FILE_BYTES", 100)
    disk.write(NAME, 1, bytes(100))
    assert not folder.exists()


def test_a_name_tells_its_parts_apart():
    names = [
        disk.name_for(*parts)
        for parts in (("step", b"a", b"b"), ("step", b"ab"), ("step", b"b", b"a"), ("loop", b"ab"))
    ]
    assert len(set(names)) == 4
    assert all(private_folder.OURS.fullmatch(name) for name in names)
