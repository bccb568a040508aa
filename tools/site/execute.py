"""Execute one page in a kernel of its own, the same way every time."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import jupytext
from mkdocs_jupyter.convert import get_nbconvert_app
from nbconvert.exporters import NotebookExporter

from rnnvanish.records.provenance import provenance

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


def execute(page: Path) -> str:
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
    executed["metadata"]["measured"] = {"seconds": time.perf_counter() - started, **provenance()}
    return json.dumps(executed)


@functools.cache
def set_up() -> None:
    """Give all kernels the same settings, without a line of them in a page; call it before the first `execute`."""
    ipython = Path(_scratch.name, "ipython")
    shutil.copytree(HERE / "kernel", ipython / "profile_default")  # a copy, because IPython writes beside it
    os.environ |= ENVIRONMENT | {"IPYTHONDIR": str(ipython)}
