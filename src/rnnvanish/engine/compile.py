"""Compiling a program for a cell: traced, staged, compiled, and verified against the cell itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from torch import Tensor, nn

from rnnvanish.cell import State
from rnnvanish.compat.private_names import Missing
from rnnvanish.engine.cache import serialise
from rnnvanish.engine.cache.fingerprint import fingerprint
from rnnvanish.engine.cache.side_effects import Sandbox
from rnnvanish.engine.ir.unsupported import NothingApart, Unsupported
from rnnvanish.engine.loop import Backend, Program
from rnnvanish.engine.plan.staged_step import StagedStep
from rnnvanish.engine.verify import verify

#: Numbers of one buffer that a CPU works on at a time: memory that is used again costs less than more memory.
CHUNK = 2**20


def compile_program(cell: nn.Module, sandbox: Sandbox, x: Tensor, state: State, masked: bool) -> Program:
    """Compile a program for a copy of a cell that nobody else has; `Unsupported` where there can be none."""
    backend: Backend
    chunk: int | None
    if x.device.type == "cpu":
        from rnnvanish.engine.cpu.cpu_loop import CPULoop

        backend, chunk = CPULoop, CHUNK
    else:
        from rnnvanish.engine.gpu.gpu_loop import GPULoop

        backend, chunk = GPULoop, None

    def build(staged: StagedStep) -> Program:
        try:
            return Program(staged, backend, x.dtype.to_real(), chunk)
        except Unsupported as reason:  # of this backend: nothing to be kept
            raise Unsupported(str(reason)) from reason

    def verified(program: Program) -> Program:
        with as_unsupported():
            verify(cell, program, x, state, masked)
        return program

    with as_unsupported():
        name = fingerprint(cell, x[0], state, masked, sandbox)
    found = serialise.load(name)
    if isinstance(found, Unsupported):
        raise found
    if found is not None:
        with suppress(Exception):  # where it is not what this cell does, or nothing that can run, it is replaced
            return verified(build(found))
    try:
        program = _build_anew(build, cell, x[0], state, masked)
    except Unsupported as reason:
        if reason.__cause__ is None:
            serialise.save(name, reason)
        raise
    verified(program)
    serialise.save(name, program.staged)
    return program


def _build_anew(
    build: Callable[[StagedStep], Program], cell: nn.Module, x: Tensor, state: State, masked: bool
) -> Program:
    """Stage a step and build its program; where it has operations that loops lack, what reads the input alone apart."""
    with as_unsupported():
        from rnnvanish.engine.plan.stage import stage  # brings torch's tracer
    try:
        with as_unsupported():
            return build(stage(cell, x, state, masked))
    except Unsupported as reason:
        if not isinstance(reason.__cause__, Unsupported | None):  # it cannot be traced
            raise
        try:
            with as_unsupported():
                return build(stage(cell, x, state, masked, apart=True))
        except NothingApart:
            raise reason from reason.__cause__


#: What is said of a step that asks for a number of a tensor.
CHOICE = "way to follow an if, a while or an item() that reads a number of a tensor; torch.where is one that it follows"


@contextmanager
def as_unsupported() -> Iterator[None]:
    """Tracing runs the cell's own code in an unusual way: whatever it says is the reason why that cannot be done."""
    try:
        yield
    except Unsupported:
        raise
    except Missing as name:
        raise Unsupported(str(name)) from name
    except Exception as error:
        if "_local_scalar_dense" in str(error):
            raise Unsupported(CHOICE) from error
        raise Unsupported(f"way to trace it ({type(error).__name__}: {str(error).partition(chr(10))[0]})") from error
