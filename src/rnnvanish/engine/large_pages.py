"""Memory of a loop in large pages: where the system has them, to be given a fresh megabyte takes a fifth of the time."""

import ctypes
import mmap
from functools import cache
from typing import Any

from torch import Tensor

#: Bytes from which on it is worth asking.
LARGE = 2**22


def in_large_pages(tensor: Tensor) -> Tensor:
    """Ask for large pages for a tensor that nothing is written to yet; it is returned as it is."""
    if tensor.device.type == "cpu" and tensor.nbytes >= LARGE and (advise := _madvise()) is not None:
        first = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        advise(first, (tensor.data_ptr() + tensor.nbytes - first) // mmap.PAGESIZE * mmap.PAGESIZE, mmap.MADV_HUGEPAGE)
    return tensor


@cache
def _madvise() -> Any:
    """The call of the system, on Linux; it changes no number, and that it may fail does not matter."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    try:
        function = ctypes.CDLL(None).madvise
    except (AttributeError, OSError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function
