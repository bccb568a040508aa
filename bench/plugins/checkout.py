"""A plugin of asv's: an environment that has the packages of .venv, and of the project one commit's source.

asv's own environments install torch from the index: minutes, a gigabyte, and on Linux the build for CUDA whether there
is a GPU or not. This one is made in a second, for all commits, and measures with the torch that is in .venv.
"""

import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

from asv import util
from asv.environment import Environment

#: Why a commit could not be measured at all.
UNBUILT: dict[str, str] = {}


class Checkout(Environment):
    """Python of .venv with its packages, and the source of one commit in place of the working tree's."""

    tool_name = "checkout"

    def __init__(self, conf: Any, python: str, requirements: dict[str, str], tagged_env_vars: dict[Any, str]) -> None:
        for name, wanted in requirements.items():
            found = metadata.version(name).partition("+")[0]  # the same version for CUDA or without
            if found != wanted:
                raise util.UserError(
                    f"asv.conf.json measures with {name} {wanted}, .venv has {found}: make env brings what is pinned."
                )
        self._requirements = requirements  # asv asks for the name before it knows it
        super().__init__(conf, python, requirements, tagged_env_vars)

    @classmethod
    def matches(cls, python: str) -> bool:
        return python == f"{sys.version_info.major}.{sys.version_info.minor}"

    def check_presence(self) -> bool:
        known = Path(self._path, "asv-env-info.json")
        return known.exists() and Path(self._path, "bin/python").exists()

    def _setup(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self._path], check=True)
        (packages,) = Path(self._path).glob("lib/python*/site-packages")
        # Plain paths: the .pth files of .venv are not read, so that no commit falls back on the working tree.
        paths = [
            Path(self._build_root, "src"),
            *dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")),
        ]
        (packages / "commit.pth").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")

    def install_project(self, conf: Any, repo: Any, commit_hash: str) -> None:
        """Check the commit out, and see that it is what is imported."""
        if self._get_installed_commit_hash() != commit_hash:
            self._set_installed_commit_hash(None)
            self.checkout_project(repo, commit_hash)
            source = Path(self._build_root, "src")
            script = f"import rnnvanish; assert rnnvanish.__file__.startswith({str(source)!r}), rnnvanish.__file__"
            try:
                self.run_executable("python", ["-c", script], cwd=self._path)
            except util.ProcessError as error:
                UNBUILT[commit_hash] = (error.stderr.strip().splitlines() or ["no reason was given"])[-1]
                raise
            self._set_installed_commit_hash(commit_hash)
        self._set_commit_hash(commit_hash)

    def run(self, args: list[str], **kwargs: Any) -> Any:
        return self.run_executable("python", args, **kwargs)
