"""What a release is made of: which files, the same bytes twice, the commit in it; and when there is none."""

import io
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from made_once import made_once

from tools import release

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = f"rnnvanish-{PROJECT['version']}"
BESIDE = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff")


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def listed(*places):
    """The files of this tree that git knows or would take."""
    found = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", *places).splitlines()
    return sorted(name for name in set(found) if (ROOT / name).is_file())


def make_tree(folder):
    for name in [*BESIDE, *listed("src"), "tests/test_cell.py"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """A repository with what the package is built from, as it is now, and a test that belongs into no package."""
    return made_once(tmp_path_factory, "tree", make_tree)


@pytest.fixture(scope="session")
def built(tree, tmp_path_factory):
    """The folder of both packages, after they were built twice and looked at by twine."""

    def make(folder):
        digests = release.package(tree, folder)
        assert sorted(digests) == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]

    return made_once(tmp_path_factory, "built", make)


@pytest.fixture(scope="session")
def wheel(built):
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as archive:
        yield archive


@pytest.fixture(scope="session")
def sdist(built):
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        yield archive


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    ours = {name.removeprefix("src/") for name in listed("src")} | {"rnnvanish/records/commit.txt"}
    info = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}
    assert set(wheel.namelist()) == ours | {f"{NAME}.dist-info/{name}" for name in info}
    assert sum(each.compress_size for each in wheel.infolist()) < 2_000_000


def test_the_archive_of_sources_holds_what_the_wheel_is_built_from(sdist):
    held = {name.removeprefix(f"{NAME}/") for name in sdist.getnames() if not sdist.getmember(name).isdir()}
    held = {name for name in held if not name.startswith("src/rnnvanish.egg-info/")}
    assert held == {*BESIDE, *listed("src"), "src/rnnvanish/records/commit.txt", "PKG-INFO", "setup.cfg"}


def test_both_know_their_commit(tree, wheel, sdist):
    commit = git(tree, "rev-parse", "HEAD")[:8]
    assert wheel.read("rnnvanish/records/commit.txt").decode() == commit
    assert sdist.extractfile(f"{NAME}/src/rnnvanish/records/commit.txt").read().decode() == commit


def test_neither_day_nor_person_is_a_part_of_the_archive(tree, sdist):
    when = int(git(tree, "log", "-1", "--format=%ct"))
    assert {(each.mtime, each.uid, each.gid, each.uname) for each in sdist.getmembers()} == {(when, 0, 0, "")}


def test_its_metadata_is_what_an_index_shows(wheel):
    said = wheel.read(f"{NAME}.dist-info/METADATA").decode()
    assert "\nAuthor: The rnnvanish maintainers\n" in said
    assert "\nLicense-Expression: Apache-2.0\n" in said
    assert "\nDescription-Content-Type: text/markdown\n" in said
    assert (ROOT / "README.md").read_text(encoding="utf-8").strip() in said
    pythons = re.findall(r"^Classifier: Programming Language :: Python :: (3\.\d+)$", said, re.MULTILINE)
    assert pythons[0] == PROJECT["requires-python"].removeprefix(">=")


def test_an_archive_that_differs_in_day_and_order_alone_comes_out_the_same():
    def packed(names, mtime, user):
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.uname, member.mode = 3, mtime, user, 0o600 if mtime else 0o664
                archive.addfile(member, io.BytesIO(name.encode() * 3))
        return held.getvalue()

    one, other = packed("ab", 0.0, "me"), packed("ba", 1.5, "you")
    assert release.dated(one, 7) == release.dated(other, 7) != release.dated(one, 8)
    with tarfile.open(fileobj=io.BytesIO(release.dated(one, 7))) as archive:
        assert [(each.name, archive.extractfile(each).read()) for each in archive] == [("a", b"aaa"), ("b", b"bbb")]


def test_there_is_no_release_of_what_is_not_committed_or_described_or_new(tree, tmp_path):
    clone = tmp_path / "clone"
    git(tree, "clone", "--quiet", str(tree), str(clone))
    changes = clone / "CHANGELOG.md"
    changes.write_text("# Changelog\n\n## Unreleased\n")
    with pytest.raises(release.NotReady, match="not committed"):
        release.ready(clone)
    git(clone, "commit", "--all", "--message", "changes")
    with pytest.raises(release.NotReady, match=r"CHANGELOG\.md does not speak of"):
        release.ready(clone)
    changes.write_text(f"# Changelog\n\n## {PROJECT['version']} (2026-01-01)\n")
    git(clone, "commit", "--all", "--message", "described")
    assert release.ready(clone) == f"v{PROJECT['version']}"
    git(clone, "tag", f"v{PROJECT['version']}")
    with pytest.raises(release.NotReady, match="already"):
        release.ready(clone)


def test_what_a_release_lacks_is_said_before_the_checks_of_half_an_hour():
    steps = subprocess.run(["make", "-n", "release"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    places = [steps.index(step) for step in ("release.py ready", "/pytest ", "release.py package", "release.py tag")]
    assert places == sorted(places)
