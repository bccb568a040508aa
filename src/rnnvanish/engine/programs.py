"""The programs of this process: one for all cells that are built alike, never older than what it was compiled from.

A program is compiled for a cell, its inputs and all that its step reads. A guard, called before every run, says
whether all of this is as it was. Nothing here keeps a cell alive, or anything that a cell holds.
"""

import os
import threading
import weakref
from collections import Counter
from collections.abc import Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import CodeType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from rnnvanish.cell import State
from rnnvanish.compat.tracing import trace_in_another_thread
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.step_form import StepForm

if TYPE_CHECKING:
    from rnnvanish.engine.cache.dependencies import Guard
    from rnnvanish.engine.loop import Program

#: Programs that no living cell uses and that wait for cells to come.
IDLE_PROGRAMS = 64
#: A cell that needs more programs than this for one kind of input has settings that do not stand still.
RECOMPILE_LIMIT = 8


@dataclass(slots=True, eq=False)
class Request:
    """What a program is wanted for.

    Attributes:
        cell: The cell.
        form: How its step is called.
        parametrized: Those of its weights that are computed from others, by name.
        inputs: What the step is given: shapes, dtypes, and what of torch's settings counts.
        x: Input.
        state: State before the first step.
        masked: Whether sequences may end early.
    """

    cell: nn.Module
    form: StepForm
    parametrized: Mapping[str, Tensor]
    inputs: Hashable
    x: Tensor
    state: State
    masked: bool


@dataclass(frozen=True, eq=False)
class Key:
    """What a program was compiled from.

    Attributes:
        kind: The cell's class, by its name.
        inputs: See `Request`.
        names: The names by which its step reads; None where that is not known, and there is no program.
        codes: The code that it runs.
        dependencies: What was read.
    """

    kind: str
    inputs: Hashable
    names: frozenset[str] | None = None
    codes: frozenset[CodeType] = frozenset()
    dependencies: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """A program for a living cell, by its key, as long as the guard holds."""

    guard: "Guard"
    key: Key


@dataclass(frozen=True)
class _Cell:
    """A living cell, and by what it is given: its program, and how often it was compiled anew."""

    cell: "weakref.ref[nn.Module]"
    entries: dict[Hashable, _Entry] = field(default_factory=dict)
    compiled: Counter[Hashable] = field(default_factory=Counter)


#: Programs by their keys, or why there is none.
Programs = dict[Key, Any]

_cells: dict[int, _Cell] = {}
_thread = threading.local()
_lock = threading.Lock()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # whoever held it is not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def is_compiling() -> bool:
    """Whether this thread runs a step to compile it: what that calls runs as it is written."""
    return getattr(_thread, "compiling", False)


def program_for(programs: Programs, request: Request) -> "Program":
    """Find the program of a cell, or compile it.

    Raises:
        Unsupported: Where there can be none.
    """
    found = _look_up(programs, request)
    if found is None:
        with _lock:
            found = _look_up(programs, request)
            if found is None:
                found = _share_or_compile(programs, request)
    if isinstance(found, Unsupported):
        raise Unsupported(*found.args)  # one that is raised holds what was at work
    return found  # type: ignore[no-any-return]


def _look_up(programs: Programs, request: Request) -> Any:
    """The program of this very cell, if all that it depends on is as it was."""
    known = _cells.get(id(request.cell))
    entry = known.entries.get(request.inputs) if known is not None and known.cell() is request.cell else None
    if entry is None:
        return None
    try:
        return programs.get(entry.key) if entry.guard(request.cell) else None
    except Exception:  # noqa: BLE001  (what was there is there no more)
        return None


def _share_or_compile(programs: Programs, request: Request) -> Any:
    """The program of a cell that is built like this one, or a new one."""
    known = _known(request.cell)
    kind = f"{type(request.cell).__module__}.{type(request.cell).__qualname__}"
    shared = _share(programs, request, known, kind)
    if shared is not None:
        return shared
    known.compiled[request.inputs] += 1
    if known.compiled[request.inputs] > RECOMPILE_LIMIT:
        restless = Unsupported("program for settings that change from call to call")
        return _insert(programs, known, Key(kind, request.inputs), lambda now: True, restless)
    # In a thread of its own: modes and hooks that are in force here (checkpoint, inference) stay outside.
    trace_in_another_thread()
    with ThreadPoolExecutor(1) as thread:
        result, names, codes = thread.submit(_compile, request).result()
    if names is not None:
        try:
            dependencies, guard = _guard(request.cell, names, codes)
            key = Key(kind, request.inputs, names, frozenset(codes), dependencies)
            return _insert(programs, known, key, guard, result)
        except Unsupported as reason:
            result = Unsupported(*reason.args)
    settings = _settings(request.cell)
    return _insert(programs, known, Key(kind, request.inputs), lambda now: _settings(now) == settings, result)


def _known(cell: nn.Module) -> _Cell:
    """What is known of a living cell."""
    known = _cells.get(id(cell))
    if known is None or known.cell() is not cell:
        _cells[id(cell)] = known = _Cell(weakref.ref(cell, partial(_remove, id(cell))))
    return known


def _remove(number: int, _: Any) -> None:
    _cells.pop(number, None)


def _share(programs: Programs, request: Request, known: _Cell, kind: str) -> Any:
    """The program of a cell of the same class for which all that is read is equal; None where there is none."""
    from rnnvanish.engine.cache.dependencies import Dependencies

    own = list(request.cell.modules())
    for key in [key for key in programs if key.kind == kind and key.inputs == request.inputs and key.names is not None]:
        with suppress(Exception):
            dependencies = Dependencies(key.names or (), key.codes, own)
            guard = dependencies.guard(request.cell)
            if tuple(dependencies.signature) == key.dependencies:
                known.entries[request.inputs] = _Entry(guard, key)
                programs[key] = programs.pop(key)  # the last that was used
                return programs[key]
    return None


def _compile(request: Request) -> tuple[Any, frozenset[str] | None, set[CodeType]]:
    """A program or the reason against it; the names by which the step reads, where it came to its end; and its code."""
    from rnnvanish.engine.cache.side_effects import Sandbox
    from rnnvanish.engine.compile import as_unsupported, compile_program
    from rnnvanish.engine.ir.parameters import private_copy

    _thread.compiling = True
    sandbox = None
    try:
        with as_unsupported():
            copy = request.form.step(private_copy(request.cell, request.parametrized))
            sandbox = Sandbox(copy)
            program = compile_program(copy, sandbox, request.x, request.state, request.masked)
            return program, frozenset(sandbox.names), sandbox.codes
    except Unsupported as reason:
        names = frozenset(sandbox.names) if sandbox is not None and sandbox.finished else None
        return Unsupported(*reason.args), names, sandbox.codes if sandbox is not None else set()


def _guard(cell: nn.Module, names: frozenset[str], codes: set[CodeType]) -> tuple[tuple[Any, ...], "Guard"]:
    """All that a step depends on, and what says whether it is as it was; `Unsupported` where that cannot be seen."""
    from rnnvanish.engine.cache.dependencies import Dependencies
    from rnnvanish.engine.compile import as_unsupported

    with as_unsupported():
        dependencies = Dependencies(names, codes, cell.modules())
        guard = dependencies.guard(cell)
    if strange := [code.co_qualname for code in codes if not _is_defined_in(code, dependencies.reached)]:
        raise Unsupported(f"way to see where {strange[0]}, which its step calls, comes from")
    return tuple(dependencies.signature), guard


def _insert(programs: Programs, known: _Cell, key: Key, guard: "Guard", result: Any) -> Any:
    known.entries[key.inputs] = _Entry(guard, key)
    programs[key] = result
    used = {id(entry.key) for each in list(_cells.values()) for entry in each.entries.values()}
    idle = [each for each in programs if id(each) not in used]
    for each in idle[: max(len(idle) - IDLE_PROGRAMS, 0)]:
        del programs[each]
    return result


def _settings(cell: nn.Module) -> list[Any]:
    """What of a cell may have been the reason against a program, as far as it is plain."""
    return [
        (
            id(type(module)),
            module.training,
            [(name, repr(each)) for name, each in vars(module).items() if type(each) in _PLAIN],
        )
        for module in cell.modules()
    ]


_PLAIN = (str, int, float, bool, type(None))


def _is_defined_in(code: CodeType, others: set[CodeType]) -> bool:
    """Whether a function is one of these, or is written in one of them."""
    return code in others or any(
        _is_defined_in(code, {each for each in other.co_consts if isinstance(each, CodeType)}) for other in others
    )
