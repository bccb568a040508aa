"""Which rnnvanish this is: its version, and the commit that it was built, installed or is run from."""

import json
import subprocess
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

#: Holds the commit in what was built; setup.py writes it. A clone has none: there git is asked.
BUILT_FROM = Path(__file__).with_name("commit.txt")


def version_and_commit() -> str:
    """Say both, "0.1.0, commit 01234567"; the version alone where the commit is not known."""
    known = this_commit()
    return distribution("rnnvanish").version + ("" if known is None else f", commit {known}")


@cache
def this_commit() -> str | None:
    """First eight digits of the commit of this package, and whether files were changed since; None if not known."""
    if BUILT_FROM.exists():
        return BUILT_FROM.read_text(encoding="utf-8").strip()
    return installed_from() or commit_of(Path(__file__))


def installed_from() -> str | None:
    """First eight digits of the commit that was installed from a repository; None where it was installed otherwise."""
    origin = json.loads(distribution("rnnvanish").read_text("direct_url.json") or "{}")
    digits: str | None = origin.get("vcs_info", {}).get("commit_id")
    return digits and digits[:8]


def commit_of(file: Path) -> str | None:
    """First eight digits of the commit that a file stands at; None where it is not tracked by git."""
    git = ["git", "-C", str(file.parent)]
    describe = ["describe", "--always", "--dirty= with changes", "--abbrev=8", "--exclude=*"]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", file.name], capture_output=True, check=True)
        return subprocess.run([*git, *describe], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, an unpacked archive, or installed elsewhere
        return None
