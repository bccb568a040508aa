"""Which engine runs a cell: the fastest that can, and a line in the log where that is the plain loop."""

import logging
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from rnnvanish.cell import Cell, State
from rnnvanish.engine import reference
from rnnvanish.engine.values import Unsupported

logger = logging.getLogger("rnnvanish.engine")
ENGINES = ("auto", "reference", "cpu", "gpu")
#: A loop over fewer numbers (steps x sequences x width of the state) is not worth compiling.
WORTH = 2048
#: Numbers of one buffer that a CPU works on at a time: memory that is used again costs less than more memory.
PART = 2**20

#: What has been made of cells of one build: a program, or why there is none.
_programs: dict[Any, Any] = {}
_said: set[tuple[str, str]] = set()


def run(
    cell: Cell,
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    engine: str = "auto",
    trace: list[Tensor] | None = None,
) -> tuple[Tensor, State]:
    """Run a cell over time.

    Args:
        cell: The step.
        x: Input, (time, batch, features).
        state: State before the first step.
        lengths: Steps in each sequence, or None where all fill the batch.
        engine: One of `ENGINES`.
        trace: See `Program`; `Unsupported` is raised where no compiled engine can give it.

    Returns:
        The first part of the state after each step, and the state after the last.

    Raises:
        RuntimeError: Where an engine is named that cannot run this cell.
    """
    worth = x.shape[0] * sum(part.numel() for part in state) >= WORTH
    if engine in ("cpu", "gpu") or (engine == "auto" and (worth or trace is not None)):
        try:
            # Not a decorator: that would import torch's compiler, two seconds, for everybody who imports this package.
            compiled = _out_of_torchs_compiler() if "torch._dynamo" in sys.modules else _compiled
            return cast(tuple[Tensor, State], compiled(cell, x, state, lengths, engine, trace))
        except Unsupported as reason:
            name = type(cell).__name__
            if trace is not None:
                raise
            if engine != "auto":
                raise RuntimeError(f"engine={engine!r} cannot run {name}: {reason}. engine='auto' can.") from None
            if (name, str(reason)) not in _said:
                _said.add((name, str(reason)))
                logger.warning("%s runs as a plain Python loop: the compiled engine has no %s.", name, reason)
    states = reference.scan(cell, x, state, lengths)
    return torch.stack([parts[0] for parts in states]), states[-1]


@cache
def _out_of_torchs_compiler() -> Any:
    """What torch's own compiler is not to look into."""
    return torch.compiler.disable(_compiled)


def _compiled(
    cell: Cell, x: Tensor, state: State, lengths: Tensor | None, engine: str, trace: list[Tensor] | None
) -> tuple[Tensor, State]:
    """Run a cell by a program; `Unsupported` where there can be none, with the reason."""
    modules = dict(cell.named_modules())
    _check(modules.values(), x, state, engine)
    from rnnvanish.engine.loop import Program
    from rnnvanish.engine.weights import weights_of

    weights = weights_of(modules)
    key = (
        *(_build(module) for module in modules.values()),
        *((name, weight.shape, weight.dtype) for name, weight in weights.items()),
        *((part.shape[1:], part.dtype) for part in state),
        (x.shape[2:], x.dtype, x.device.type, lengths is not None),
    )
    if key not in _programs:
        try:
            # In a thread of its own: modes and hooks that are in force here (checkpoint, inference) stay outside.
            with ThreadPoolExecutor(1) as thread:
                _programs[key] = thread.submit(_program, cell, x, state, lengths is not None).result()
        except Unsupported as reason:
            _programs[key] = reason
    program = _programs[key]
    if isinstance(program, Unsupported):
        raise program
    assert isinstance(program, Program)
    ended = None if lengths is None else reference.padding(len(x), lengths).unsqueeze(-1)
    onces = program.staged.once(*weights.values())
    if trace is not None:  # the gradients of the states are asked for, not those of the weights
        onces = [value.detach() for value in onces]
    return program(x, ended, onces, state, trace)


def _check(modules: Iterable[nn.Module], x: Tensor, state: State, engine: str) -> None:
    """Refuse what a compiled loop would silently do otherwise than the plain one."""
    device = x.device.type
    if engine not in ("auto", {"cuda": "gpu"}.get(device, device)):
        missing = ", and torch sees no GPU here" if engine == "gpu" and not torch.cuda.is_available() else ""
        raise Unsupported(f"way with tensors on {device}{missing}")
    if any(type(tensor) not in (Tensor, nn.Parameter) for tensor in (x, *state)):
        raise Unsupported(f"tensors of class {type(x).__name__}")
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise Unsupported("torch.func transforms (vmap, grad)")
    if forward_ad._current_level >= 0:
        raise Unsupported("forward mode of automatic differentiation")
    if torch.is_autocast_enabled(device):
        raise Unsupported("autocast")
    if torch._C._len_torch_dispatch_stack() > 0:
        raise Unsupported("dispatch modes")
    if any(tensor.dtype.to_real() != x.dtype.to_real() for tensor in state):
        raise Unsupported("a state of another dtype than its input")
    if any(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
        for module in modules
    ):
        raise Unsupported("hooks")


#: What every module has; the rest are settings of its own.
_COMMON = frozenset(vars(nn.Module())) - {"training"}
_PLAIN = (str, int, float, bool, type(None))


def _build(module: nn.Module) -> tuple[type, frozenset[Any]]:
    """What decides how a module computes, but for its weights: two of the same build share a program.

    Numbers and words count by their value. Whatever else a module keeps counts as itself: it is a part of the key, so
    it lives as long as the program does.
    """
    own = vars(module)
    settings = ((name, own[name]) for name in own.keys() - _COMMON)
    return type(module), frozenset((name, value if type(value) in _PLAIN else _Same(value)) for name, value in settings)


class _Same:
    """Equal to nothing but the same object, or to equal lists and tuples of plain values."""

    def __init__(self, value: Any) -> None:
        plain = isinstance(value, list | tuple) and all(isinstance(each, _PLAIN) for each in value)
        self.value = tuple(value) if plain else value
        self.plain = plain

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Same):
            return False
        return self.value == other.value if self.plain and other.plain else self.value is other.value

    def __hash__(self) -> int:
        return hash(self.value) if self.plain else id(self.value)


def _program(cell: Cell, x: Tensor, state: State, masked: bool) -> Any:
    """Stage and print a cell, and hold the result against the cell itself once."""
    from rnnvanish.engine import kept
    from rnnvanish.engine.fingerprint import fingerprint
    from rnnvanish.engine.loop import Print, Program
    from rnnvanish.engine.staged import Staged
    from rnnvanish.engine.verify import verify

    printer: Print
    part: int | None
    if x.device.type == "cpu":
        from rnnvanish.engine.cpu import CPULoop

        printer, part = CPULoop, PART
    elif x.device.type == "cuda":
        from rnnvanish.engine.gpu import GPULoop

        printer, part = GPULoop, None
    else:
        raise Unsupported(f"printer for {x.device.type}")

    def made(staged: Staged) -> Program:
        with _reasons():
            program = Program(staged, printer, x.dtype.to_real(), part)
        verify(cell, program, x, state, masked)
        return program

    with _reasons():
        name = fingerprint(cell, x[0], state, masked)
    found = kept.find(name)
    if isinstance(found, Unsupported):
        raise found
    if found is not None:
        with suppress(Exception):  # where it is not what this cell does, or nothing that can run, it is replaced
            return made(found)
    from rnnvanish.engine.staging import stage  # brings torch's tracer

    try:
        with _reasons():
            staged = stage(cell, x[0], state, masked)
    except Unsupported as reason:
        if reason.__cause__ is None:
            kept.keep(name, reason)
        raise
    program = made(staged)
    kept.keep(name, staged)
    return program


@contextmanager
def _reasons() -> Iterator[None]:
    """Tracing runs the cell's own code in an unusual way: whatever it says is the reason why that cannot be done."""
    try:
        yield
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"way to trace it ({type(error).__name__}: {str(error).partition(chr(10))[0]})") from error
