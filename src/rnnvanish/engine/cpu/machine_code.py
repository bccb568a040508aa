"""Printed loops as machine code: Numba compiles them once, and later processes load them without it.

To import Numba and to have it read its own cache takes most of a second in every process; LLVM alone takes a
twentieth of that.
"""

import ctypes
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from rnnvanish.engine.cache import disk
from rnnvanish.engine.cpu import blas


@cache
def load_or_compile(text: str) -> Callable[..., Any]:
    """The function `loop` of a printed module, to be called with addresses and whole numbers; it frees the GIL."""
    blas.register_symbols()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name = disk.name_for("loop", text.encode(), _compiler())
    kept = disk.read(name)
    if kept is None or (loop := _load(*kept)) is None:
        made = _compile(text)
        disk.write(name, *made)
        loop = _load(*made)
    assert loop is not None
    return loop


@cache
def _compiler() -> bytes:
    """All that decides what becomes of a printed text: for another processor it is compiled anew."""
    sources = [Path(__file__).with_name(f"{each}.py").read_bytes() for each in ("mathematics", "memory")]
    host = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return repr((*sources, *map(version, ("numba", "llvmlite")), llvm.get_process_triple(), *host)).encode()


def _compile(text: str) -> tuple[dict[str, Any], bytes]:
    """Name of the function and names of what it calls; machine code."""
    module: dict[str, Any] = {}
    exec(text, module)  # noqa: S102  (printed by `numba_text`)
    (result,) = module["loop"].overloads.values()
    _, _, (code, bitcode) = result.library.serialize_using_object_code()
    called = [each.name for each in llvm.parse_bitcode(bitcode).functions if each.is_declaration]
    called = [name for name in called if not name.startswith("llvm.")]
    return {"function": result.fndesc.llvm_func_name, "calls": called}, code


def _load(about: Any, code: bytes) -> Callable[..., Any] | None:
    """The function; None where the code is not that of such a one, or calls what is not there: it would end the process."""
    match about:
        case {"function": str(name), "calls": list(calls)} if all(map(_is_there, calls)):
            pass
        case _:
            return None
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(name)
    if not address:
        return None
    # Numba's convention: where the result goes and where an exception goes, of which a loop has neither; arguments.
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4, *[ctypes.c_int64] * 6)
    nowhere = (ctypes.c_void_p * 2)()
    function = kind(address)
    function.engine = engine  # type: ignore[attr-defined]  # code and place live as long as this
    function.nowhere = nowhere  # type: ignore[attr-defined]
    return partial(function, ctypes.addressof(nowhere), ctypes.addressof(nowhere) + 8)


def _is_there(name: Any) -> bool:
    return isinstance(name, str) and bool(llvm.address_of_symbol(name))
