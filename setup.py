"""Writes into a package from which commit it is built: where it is installed, no git can be asked.

Everything else stands in pyproject.toml.
"""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
FOLDER = Path("rnnvanish", "records")
VERSION = runpy.run_path(str(HERE / "src" / FOLDER / "version.py"))


def write_commit(folder: Path) -> None:
    """Keep the commit of this tree in a folder; a tree that was unpacked from an archive brings its own."""
    built_from = VERSION["BUILT_FROM"]
    commit = built_from.read_text(encoding="utf-8") if built_from.exists() else VERSION["commit_of"](HERE / "setup.py")
    if commit:
        (folder / built_from.name).write_text(commit, encoding="utf-8")


class BuildPy(build_py):
    """Builds the package, with its commit; one that is installed to be edited asks git each time."""

    def run(self) -> None:
        """Build it."""
        super().run()
        if not self.editable_mode:
            write_commit(Path(self.build_lib, FOLDER))


class Sdist(sdist):
    """Builds the archive of the sources, with their commit."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the sources, and add the commit."""
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir, "src") / FOLDER)


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
