"""The shared library of torch, which has the BLAS that torch was built with."""

import ctypes
from functools import cache
from pathlib import Path

import torch

from rnnvanish.compat.private_names import LIBRARY, Missing


@cache
def torch_library() -> ctypes.CDLL:
    """The library in which torch has the BLAS that it was built with."""
    try:
        return ctypes.CDLL(str(Path(torch.__file__).parent / LIBRARY))
    except OSError:
        raise Missing(LIBRARY) from None
