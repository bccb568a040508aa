"""Memory and matrix products for generated loops: plain addresses, and names that `blas` registers."""

# mypy: disable-error-code="untyped-decorator"
from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from rnnvanish.engine.cpu.codegen import SCOPES


def _access(number: types.Type, memory: ir.Type) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Make `load(address, index, scope)` and `store(address, index, scope, number)` for one type of number.

    What is loaded and stored under two scopes never overlaps, and the compiler is told so: without this it would check
    every pair of buffers at every row, or give up on vectors.
    """

    def place(builder: Any, address: Any, index: Any) -> Any:
        return builder.gep(builder.inttoptr(address, memory.as_pointer()), [index])

    def annotate(builder: Any, instruction: Any, scope: int) -> None:
        module = builder.module
        domain = module.add_metadata(["rnnvanish"])
        scopes = [module.add_metadata([f"rnnvanish.{index}", domain]) for index in range(SCOPES)]
        instruction.set_metadata("alias.scope", module.add_metadata([scopes[scope]]))
        instruction.set_metadata("noalias", module.add_metadata(scopes[:scope] + scopes[scope + 1 :]))
        if isinstance(memory, ir.IntType):
            return
        instruction.align = memory.get_abi_size(llvmlite.binding.create_target_data("e-m:e-i64:64"))

    @intrinsic(prefer_literal=True)
    def load(typingctx: Any, address: Any, index: Any, scope: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            loaded = builder.load(place(builder, args[0], args[1]))
            annotate(builder, loaded, scope.literal_value)
            if number is types.boolean:
                return builder.icmp_unsigned("!=", loaded, loaded.type(0))
            return loaded

        return number(types.intp, types.intp, scope), generate

    @intrinsic(prefer_literal=True)
    def store(typingctx: Any, address: Any, index: Any, scope: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            annotate(builder, builder.store(args[3], place(builder, args[0], args[1])), scope.literal_value)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, scope, number), generate

    return load, store


load_float32, store_float32 = _access(types.float32, ir.FloatType())
load_float64, store_float64 = _access(types.float64, ir.DoubleType())
load_bool, _ = _access(types.boolean, ir.IntType(8))


@intrinsic
def bits_float32(typingctx: Any, number: Any) -> Any:
    """The float32 with these bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def bits_float64(typingctx: Any, number: Any) -> Any:
    """The float64 with these bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


@intrinsic
def bits_of_float32(typingctx: Any, number: Any) -> Any:
    """The bits of a float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), generate


@intrinsic
def bits_of_float64(typingctx: Any, number: Any) -> Any:
    """The bits of a float64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


gemm_float32, gemm_float64 = (
    types.ExternalFunction(f"rnnvanish_{name}_", types.void(*[types.uintp] * 13)) for name in ("sgemm", "dgemm")
)
