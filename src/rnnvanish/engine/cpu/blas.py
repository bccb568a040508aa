"""Matrix products for generated loops: by the BLAS that torch brings."""

import ctypes
from functools import cache

import llvmlite.binding as llvm

from rnnvanish.compat import torch_library
from rnnvanish.engine.ir.unsupported import Unsupported


def limit_to_one_thread() -> None:
    """Have matrix products of this thread run on it alone, where the BLAS is one that would take more (MKL)."""
    limit = getattr(torch_library(), "MKL_Set_Num_Threads_Local", None)
    if limit is not None:
        limit(1)


@cache
def register_symbols() -> None:
    """Give the Fortran routines names that compiled code can call in every process."""
    try:
        for name in ("sgemm_", "dgemm_"):
            address = ctypes.cast(getattr(torch_library(), name), ctypes.c_void_p).value
            llvm.add_symbol(f"rnnvanish_{name}", address)
    except (OSError, AttributeError) as error:
        raise Unsupported(f"matrix products on this platform ({error})") from error
