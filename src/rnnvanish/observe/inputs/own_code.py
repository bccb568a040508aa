"""A user's own code by its place, "package.module" or "path/to/file.py": import it, and say where it failed."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from rnnvanish.names import WrongUse
from rnnvanish.observe.inputs.failure import failure

Found = TypeVar("Found")


def parted(place: str) -> tuple[str, str]:
    r"""A module or a file, and the name of what is meant in it; "" where there is none. A drive belongs to its file.

    Examples:
        >>> parted("my_project/model.py:build"), parted("my_project.model")
        (('my_project/model.py', 'build'), ('my_project.model', ''))
        >>> parted(r"C:\my_project\model.py:build"), parted(r"C:\my_project\model.py")
        (('C:\\my_project\\model.py', 'build'), ('C:\\my_project\\model.py', ''))
    """
    where, colon, name = place.rpartition(":")
    return (where, name) if colon and not {"/", "\\"} & set(name) else (place, "")


def import_own(where: str) -> ModuleType:
    """Import a module by its name, or run a file.

    Raises:
        WrongUse: Where there is none, or it failed: says where.
    """
    if not where.endswith(".py"):
        sys.path.insert(0, "")  # as `python -m` does
        return guarded(lambda: importlib.import_module(where), where)
    path = Path(where)
    if not path.is_file():
        raise WrongUse(f"There is no file {path}.")
    sys.path.insert(0, str(path.parent))  # as `python file.py` does
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    load = spec.loader.exec_module
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where pickle and dataclasses look for it
    guarded(lambda: load(module), where)
    return module


def guarded(run: Callable[[], Found], what: str) -> Found:
    """Run the user's code; say where it failed.

    Raises:
        WrongUse: Where it did.
    """
    try:
        return run()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also sys.exit(), which would end this command as if all were well
        raise WrongUse(f"{what} failed{failure(error)}") from error
