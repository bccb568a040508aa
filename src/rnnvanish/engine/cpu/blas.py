"""Matrix products for generated loops: by the BLAS that torch brings, by that of the system, or by SciPy's."""

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import llvmlite.binding as llvm
import torch

from rnnvanish.compat.library import torch_library
from rnnvanish.compat.private_names import Missing
from rnnvanish.engine.ir.unsupported import Unsupported

#: The routines that are called, by their names in Fortran. Their whole numbers have 32 bits, as in each of these libraries.
ROUTINES = ("sgemm_", "dgemm_")
#: What macOS has: no file any more, but found under the name of one.
ACCELERATE = "/System/Library/Frameworks/Accelerate.framework/Accelerate"


def limit_to_one_thread() -> None:
    """Have matrix products of this thread run on it alone, where the BLAS is one that would take more (MKL)."""
    with suppress(Missing):
        limit = getattr(torch_library(), "MKL_Set_Num_Threads_Local", None)
        if limit is not None:
            limit(1)


@cache
def register_symbols() -> None:
    """Give the Fortran routines names that compiled code can call in every process."""
    for name, address in routines().items():
        llvm.add_symbol(f"rnnvanish_{name}", address)


def routines() -> dict[str, int]:
    """Where the routines are in memory, in the first library that has them all.

    Raises:
        Unsupported: Where none has: says which were asked.
    """
    sources: list[Callable[[], dict[str, int]]] = [_of_torch, _of_scipy]
    if sys.platform == "darwin":
        sources.insert(1, _of_accelerate)
    reasons = []
    for source in sources:
        try:
            return source()
        except Missing as error:
            reasons.append(f"torch {torch.__version__} has no {error.name}")
        except (OSError, AttributeError, ImportError) as error:
            reasons.append(str(error))
    raise Unsupported(f"BLAS for matrix products; SciPy would bring one ({'; '.join(reasons)})")


def _of_torch() -> dict[str, int]:
    return _of(torch_library())


def _of_accelerate() -> dict[str, int]:
    return _of(ctypes.CDLL(ACCELERATE))


def _of(library: ctypes.CDLL) -> dict[str, int]:
    found = {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in ROUTINES}
    return {name: address for name, address in found.items() if address is not None}


def _of_scipy() -> dict[str, int]:
    """Those that SciPy hands to whoever compiles; a BLAS that lies beside it may count in 64 bits."""
    from numba.extending import get_cython_function_address

    where = "scipy.linalg.cython_blas"
    return {name: get_cython_function_address(where, name.removesuffix("_")) for name in ROUTINES}
