"""Matrix products for printed loops: by the BLAS that torch brings."""

import ctypes
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
import torch

from rnnvanish.engine.ir.unsupported import Unsupported


@cache
def _torch() -> ctypes.CDLL:
    return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))


def one_thread() -> None:
    """Have matrix products of this thread run on it alone, where the BLAS is one that would take more (MKL)."""
    limit = getattr(_torch(), "MKL_Set_Num_Threads_Local", None)
    if limit is not None:
        limit(1)


@cache
def announce() -> None:
    """Give the Fortran routines names that compiled code can call in every process."""
    try:
        for name in ("sgemm_", "dgemm_"):
            address = ctypes.cast(getattr(_torch(), name), ctypes.c_void_p).value
            llvm.add_symbol(f"rnnvanish_{name}", address)
    except (OSError, AttributeError) as error:
        raise Unsupported(f"matrix products on this platform ({error})") from error
