"""Where matrix products come from: torch's library, the system's or SciPy's, whichever is there; else the plain loop."""

import ctypes
import sys

import pytest
import torch

from rnnvanish import Recurrent, cells
from rnnvanish.compat import library
from rnnvanish.compat.private_names import PURPOSES
from rnnvanish.engine import run
from rnnvanish.engine.cpu import blas, cpu_loop, machine_code
from rnnvanish.engine.ir.unsupported import Unsupported

ROUTINE = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)


def product(address, a, b):
    """A @ B by a routine of Fortran, which takes the columns of a matrix first; so it is given B and A for A @ B."""
    (rows, inner), columns = a.shape, b.shape[1]
    c = torch.full((rows, columns), torch.nan, dtype=a.dtype)
    sizes = [ctypes.c_int32(each) for each in (columns, rows, inner, columns, inner, columns)]
    m, n, k, of_b, of_a, of_c = map(ctypes.addressof, sizes)
    one, none = torch.ones(1, dtype=a.dtype), torch.zeros(1, dtype=a.dtype)
    letter = ctypes.c_char(b"N")
    plain = ctypes.addressof(letter)
    matrices = [each.data_ptr() for each in (b, a, c)]
    ROUTINE(address)(
        plain, plain, m, n, k, one.data_ptr(), matrices[0], of_b, matrices[1], of_a, none.data_ptr(), matrices[2], of_c
    )
    return c


@pytest.mark.parametrize("source", [blas._of_torch, blas._of_scipy])
@pytest.mark.parametrize(("name", "dtype"), [("sgemm_", torch.float32), ("dgemm_", torch.float64)])
def test_a_routine_multiplies(source, name, dtype):
    a, b = torch.randn(3, 5, dtype=dtype), torch.randn(5, 2, dtype=dtype)
    torch.testing.assert_close(product(source()[name], a, b), a @ b)


class Library(ctypes.CDLL):
    """A library that has some names."""

    def __init__(self, *names):
        for name in names:
            setattr(self, name, ctypes.CFUNCTYPE(None)(lambda: None))

    def __getattr__(self, name):
        raise AttributeError(f"there is no {name} in it")


@pytest.fixture
def loaded(monkeypatch):
    """Pretends a platform and its libraries; returns the names of those that were asked for."""

    def pretend(platform, file, **libraries):
        asked = []

        def load(path):
            asked.append(path)
            for name, found in libraries.items():
                if name in path:
                    return found
            raise OSError(f"{path}: not found")

        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(library, "LIBRARY", file)
        monkeypatch.setitem(PURPOSES, file, "multiply matrices by torch's BLAS")
        monkeypatch.setattr(ctypes, "CDLL", load)
        monkeypatch.setattr(blas, "torch_library", library.torch_library.__wrapped__)
        return asked

    return pretend


def test_on_macos_torch_is_asked_first(loaded):
    asked = loaded("darwin", "lib/libtorch_cpu.dylib", libtorch_cpu=Library(*blas.ROUTINES))
    assert set(blas.routines()) == set(blas.ROUTINES)
    assert len(asked) == 1
    assert asked[0].endswith("torch/lib/libtorch_cpu.dylib")


@pytest.mark.parametrize("torch_has", [(), ("sgemm_",)], ids=["nothing", "half of it"])
def test_on_macos_accelerate_stands_in(loaded, torch_has):
    asked = loaded(
        "darwin", "lib/libtorch_cpu.dylib", libtorch_cpu=Library(*torch_has), Accelerate=Library(*blas.ROUTINES)
    )
    assert set(blas.routines()) == set(blas.ROUTINES)
    assert asked[-1] == blas.ACCELERATE


@pytest.mark.parametrize(("platform", "file"), [("win32", "lib/torch_cpu.dll"), ("linux", "lib/libtorch_cpu.so")])
@pytest.mark.parametrize("found", [True, False], ids=["without names", "without a file"])
def test_scipy_stands_in_where_torch_shows_none(loaded, platform, file, found):
    asked = loaded(platform, file, **({"torch_cpu": Library()} if found else {}))
    assert blas.routines() == blas._of_scipy()
    assert [path.rpartition("/")[2] for path in asked] == [file.removeprefix("lib/")]
    blas.limit_to_one_thread()  # has nothing to limit, and says nothing


def test_where_there_is_none_the_loop_is_plain_and_a_line_says_what_would_help(loaded, monkeypatch, caplog):
    torch.manual_seed(0)
    layer, x = Recurrent(cells.GRU, 3, 4), torch.randn(100, 8, 3)
    expected = Recurrent(cells.GRU, 3, 4, engine="reference")
    expected.load_state_dict(layer.state_dict())
    loaded("win32", "lib/torch_cpu.dll", torch_cpu=Library("gemm"))
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.linalg.cython_blas", None)
    with pytest.raises(Unsupported, match="SciPy would bring one"):
        blas.routines()
    monkeypatch.setattr(blas, "register_symbols", blas.register_symbols.__wrapped__)
    monkeypatch.setattr(cpu_loop, "load_or_compile", machine_code.load_or_compile.__wrapped__)
    monkeypatch.setattr(run, "_programs", {})
    torch.testing.assert_close(layer(x)[0], expected(x)[0])
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("GRU runs as a plain Python loop: the compiled engine has no BLAS for matrix products")
