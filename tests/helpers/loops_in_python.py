"""The generated text of a loop on the CPU, run by Python as it is written: slow, but there at once."""

import ctypes
import math
from types import SimpleNamespace

import numpy as np

_MATHEMATICS = SimpleNamespace(
    **{name: getattr(np, name) for name in ["sqrt", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "hypot", "floor"]},
    asin=np.arcsin, acos=np.arccos, atan=np.arctan, atan2=np.arctan2, erf=math.erf, erfc=math.erfc,
)  # fmt: skip


def python_loop(text):
    """What `machine_code.load_or_compile` makes of a text in double precision, but for the machine code."""
    names = {
        "math": _MATHEMATICS, "np": np, "real": np.float64, "itemsize": 8, "zero": np.float64(0), "one": np.float64(1),
        "exp": np.exp, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "plus": lambda a, b: a + b,
        "load": _load, "load_bool": _load_bool, "store": _store, "gemm": _multiply,
    }  # fmt: skip
    exec(text[text.index("def loop(") :], names)  # noqa: S102

    def run(addresses, sizes, *how):
        with np.errstate(all="ignore"):
            names["loop"](*(ctypes.cast(each, ctypes.POINTER(ctypes.c_int64)) for each in (addresses, sizes)), *how)

    return run


def _load(address, index, scope):
    return np.float64(ctypes.c_double.from_address(address + 8 * index).value)


def _load_bool(address, index, scope):
    return ctypes.c_bool.from_address(address + index).value


def _store(address, index, scope, number):
    ctypes.c_double.from_address(address + 8 * index).value = number


def _multiply(transpose, plain, m, n, k, one, matrix, down, left, of_left, beta, out, of_out):
    """As the Fortran routine is called: of matrices that are transposed as it sees them."""
    width, rows, height, down, of_left, of_out = (
        ctypes.c_int32.from_address(each).value for each in (m, n, k, down, of_left, of_out)
    )
    transposed = chr(ctypes.c_uint8.from_address(transpose).value) == "T"
    by = _array(matrix, width, height, down).T if transposed else _array(matrix, height, width, down)
    result, old = _array(out, rows, width, of_out), ctypes.c_double.from_address(beta).value
    product = _array(left, rows, height, of_left) @ by
    result[:] = product + result if old else product


def _array(address, rows, width, down):
    numbers = (ctypes.c_double * ((rows - 1) * down + width)).from_address(address)
    return np.lib.stride_tricks.as_strided(np.frombuffer(numbers), (rows, width), (8 * down, 8))
