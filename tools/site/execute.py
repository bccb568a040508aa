"""Execute one page in a kernel of its own, the same way every time."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import jupytext
from mkdocs_jupyter.convert import get_nbconvert_app
from nbconvert.exporters import NotebookExporter

HERE = Path(__file__).resolve().parent
LONGEST = 600  # seconds that one cell may take
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # the same sums in the same order, and two pages do not fight for the cores
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONHASHSEED": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "MATPLOTLIBRC": str(HERE / "matplotlibrc"),
}
_scratch = tempfile.TemporaryDirectory(prefix="rnnvanish-site-")  # removed when the build ends


class ExecutionError(Exception):
    """A page that did not run to its end."""


def digest(root: Path) -> str:
    """Name what every executed page depends on: the package, these tools, all installed versions, Python itself."""
    known = hashlib.sha256(sys.version.encode())
    for folder in (root / "src", HERE):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path):
                known.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    for line in sorted(f"{found.name}=={found.version}" for found in metadata.distributions()):
        known.update(line.encode())
    return known.hexdigest()[:16]


def execute(page: Path, root: Path) -> str:
    """Run a percent-format page; return the notebook as JSON, with when and where it ran in its metadata."""
    app = get_nbconvert_app(execute=True, kernel_name="python3", allow_errors=False)
    app.config["ExecutePreprocessor"]["timeout"] = LONGEST
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=_scratch.name) as folder:  # what a page writes is thrown away
        try:
            source = jupytext.read(page)
            body, _ = NotebookExporter(config=app.config).from_notebook_node(source, {"metadata": {"path": folder}})
        except Exception as error:
            lines = re.sub(r"\x1b\[[\d;]*m", "", f"{error}").strip().splitlines()
            raise ExecutionError("\n".join(lines[-40:]) or repr(error)) from error
    executed = json.loads(body)
    executed["metadata"]["measured"] = {"seconds": time.perf_counter() - started, **circumstances(root)}
    return json.dumps(executed)


def circumstances(root: Path) -> dict[str, str]:
    """Return when, from which commit and on what machine this runs."""
    now = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    git = ["git", "-C", str(root), "describe", "--always", "--dirty= with changes", "--abbrev=8", "--exclude=*"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or an unpacked archive
        commit = "unknown"
    return {
        "date": datetime.fromtimestamp(now, UTC).date().isoformat(),
        "commit": commit,
        "processor": _processor(),
        "torch": _version("torch"),
        "python": platform.python_version(),
    }


@functools.cache
def set_up() -> None:
    """Give all kernels the same settings, without a line of them in a page; call it before the first `execute`."""
    ipython = Path(_scratch.name, "ipython")
    shutil.copytree(HERE / "kernel", ipython / "profile_default")  # a copy, because IPython writes beside it
    os.environ |= ENVIRONMENT | {"IPYTHONDIR": str(ipython)}


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "none"
