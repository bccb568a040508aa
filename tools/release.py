"""Makes a release: packages that come out the same when they are built again, and the tag. Publishes nothing.

.venv/bin/python tools/release.py ready     # whether there can be one: before the checks, which take half an hour
.venv/bin/python tools/release.py package   # dist/: wheel and sdist of the last commit, built twice, checked
.venv/bin/python tools/release.py tag       # the tag of this version on the last commit
"""

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"


class NotReady(Exception):
    """Why there can be no release now, and what to do."""


def git(*arguments: str, root: Path = ROOT) -> str:
    """What git says."""
    return subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def version(root: Path = ROOT) -> str:
    """The version in pyproject.toml."""
    said: str = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return said


def ready(root: Path = ROOT) -> str:
    """The name of the tag.

    Raises:
        NotReady: Where something is not committed, or the version does not stand everywhere, or is released already.
    """
    number = version(root)
    if git("status", "--porcelain", root=root):
        raise NotReady("Some files are not committed: `git status` lists them. A release is what is committed.")
    if git("tag", "--list", f"v{number}", root=root):
        raise NotReady(f"There is a tag v{number} already: raise `version` in pyproject.toml.")
    for name, line in {
        "CHANGELOG.md": rf"^## {re.escape(number)}\b",
        "CITATION.cff": rf"^version: {re.escape(number)}$",
        "README.md": rf"version = \{{{re.escape(number)}\}}",
    }.items():
        if not re.search(line, (root / name).read_text(encoding="utf-8"), re.MULTILINE):
            raise NotReady(f"{name} does not speak of {number}, the version in pyproject.toml: {line} is needed.")
    return f"v{number}"


def build(root: Path, folder: Path) -> dict[str, str]:
    """Build wheel and sdist of the last commit into a folder; returns their digests.

    Every file in them is as old as the commit: neither day nor machine is a part of what is built.
    """
    epoch = git("log", "-1", "--format=%ct", root=root)
    with tempfile.TemporaryDirectory(prefix="rnnvanish-release-") as place:
        clone = Path(place, "clone")
        subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], umask=0o022, check=True)
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(clone)]
        done = subprocess.run(
            command,
            umask=0o022,
            env=os.environ | {"SOURCE_DATE_EPOCH": epoch},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotReady(f"It cannot be built:\n{done.stdout}{done.stderr}")
    for sdist in folder.glob("*.tar.gz"):
        sdist.write_bytes(dated(sdist.read_bytes(), int(epoch)))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def dated(archive: bytes, epoch: int) -> bytes:
    """An archive of the same files in the order of their names, all of one age and of nobody: setuptools takes those of today."""
    plain = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            content = old.extractfile(member) if member.isfile() else None
            member.mtime, member.uid, member.gid = epoch, 0, 0
            member.uname, member.gname, member.pax_headers = "", "", {}
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, content)
    return gzip.compress(plain.getvalue(), mtime=epoch)


def package(root: Path = ROOT, dist: Path = DIST) -> dict[str, str]:
    """Build twice, compare, have twine look at what would be published; returns the digests.

    Raises:
        NotReady: Where the two differ, or twine finds a fault.
    """
    with tempfile.TemporaryDirectory(prefix="rnnvanish-dist-") as place:
        first, second = (Path(place, name) for name in ("first", "second"))
        digests = build(root, first)
        if (again := build(root, second)) != digests:
            raise NotReady(f"Built twice it is not the same: {digests}, then {again}.")
        subprocess.run(
            [sys.executable, "-m", "twine", "check", "--strict", *map(str, sorted(first.iterdir()))], check=True
        )
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(first, dist)
    return digests


def main(what: str) -> None:
    """Ask, build, or tag."""
    if what == "ready":
        print(f"All that {ready()} needs is written down and committed.")
    elif what == "package":
        for name, digest in package().items():
            print(f"{digest}  dist/{name}")
    elif what == "tag":
        name = ready()
        git("tag", "--annotate", name, "--message", f"rnnvanish {name.removeprefix('v')}")
        print(f"Tagged {name}. Nothing is published before you push it: git push origin {name}")
    else:
        raise NotReady(f"ready, package or tag is needed, got {what!r}.")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except NotReady as problem:
        sys.exit(str(problem))
    except subprocess.CalledProcessError as problem:
        sys.exit(problem.returncode)
