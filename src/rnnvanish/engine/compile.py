"""Making a program of a cell: traced, staged, compiled, and held against the cell itself once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from torch import Tensor, nn

from rnnvanish.cell import State
from rnnvanish.compat import Missing
from rnnvanish.engine.cache import serialise
from rnnvanish.engine.cache.fingerprint import fingerprint
from rnnvanish.engine.cache.side_effects import Watched
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.loop import Backend, Program
from rnnvanish.engine.plan.staged_step import StagedStep
from rnnvanish.engine.verify import verify

#: Numbers of one buffer that a CPU works on at a time: memory that is used again costs less than more memory.
PART = 2**20


def make(cell: nn.Module, watched: Watched, x: Tensor, state: State, masked: bool) -> Program:
    """Make the program of a copy of a cell that nobody else has; `Unsupported` where there is none, with the reason."""
    backend: Backend
    part: int | None
    if x.device.type == "cpu":
        from rnnvanish.engine.cpu.cpu_loop import CPULoop

        backend, part = CPULoop, PART
    else:
        from rnnvanish.engine.gpu.gpu_loop import GPULoop

        backend, part = GPULoop, None

    def made(staged: StagedStep) -> Program:
        with reasons():
            program = Program(staged, backend, x.dtype.to_real(), part)
            verify(cell, program, x, state, masked)
        return program

    with reasons():
        name = fingerprint(cell, x[0], state, masked, watched)
    found = serialise.find(name)
    if isinstance(found, Unsupported):
        raise found
    if found is not None:
        with suppress(Exception):  # where it is not what this cell does, or nothing that can run, it is replaced
            return made(found)
    try:
        with reasons():
            from rnnvanish.engine.plan.stage import stage  # brings torch's tracer

            staged = stage(cell, x[0], state, masked)
    except Unsupported as reason:
        if reason.__cause__ is None:
            serialise.keep(name, reason)
        raise
    program = made(staged)
    serialise.keep(name, staged)
    return program


@contextmanager
def reasons() -> Iterator[None]:
    """Tracing runs the cell's own code in an unusual way: whatever it says is the reason why that cannot be done."""
    try:
        yield
    except Unsupported:
        raise
    except Missing as name:
        raise Unsupported(str(name)) from name
    except Exception as error:
        raise Unsupported(f"way to trace it ({type(error).__name__}: {str(error).partition(chr(10))[0]})") from error
