"""The programs of this process: one for all that is built alike, never older than what it was made from.

Nothing here keeps a cell alive, or anything that a cell holds.
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
from rnnvanish.engine.ir.unsupported import Unsupported

if TYPE_CHECKING:
    from rnnvanish.engine.cache.dependencies import Check
    from rnnvanish.engine.loop import Program

#: Programs that are kept for cells to come; those that a living cell uses are kept besides.
KEPT = 64
#: A cell that needs more programs than this for one kind of input has settings that do not stand still.
CHANGES = 8


@dataclass(frozen=True, eq=False)
class Key:
    """What a program was made from.

    Attributes:
        kind: The cell's class, by its name.
        situation: What it is given: shapes, dtypes, and what of torch's settings counts.
        names: The names by which its step reads; None where that is not known, and there is no program.
        codes: The code that it runs.
        signature: What was read.
    """

    kind: str
    situation: Hashable
    names: frozenset[str] | None = None
    codes: frozenset[CodeType] = frozenset()
    signature: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Use:
    """A living cell's program: the key, as long as the check holds."""

    check: "Check"
    key: Key


@dataclass(frozen=True)
class _Known:
    cell: "weakref.ref[nn.Module]"
    uses: dict[Hashable, _Use] = field(default_factory=dict)
    changes: Counter[Hashable] = field(default_factory=Counter)


#: What has been made: a program, or why there is none.
Table = dict[Key, Any]

_known: dict[int, _Known] = {}
_here = threading.local()
_lock = threading.Lock()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # whoever held it is not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def is_making() -> bool:
    """Whether this thread tries a step: what it calls runs as it is written."""
    return getattr(_here, "making", False)


def program_for(
    table: Table,
    cell: nn.Module,
    values: Mapping[str, Tensor],
    situation: Hashable,
    x: Tensor,
    state: State,
    masked: bool,
) -> "Program":
    """Find the program of a cell, or make it.

    Args:
        table: What has been made.
        cell: The cell.
        values: Its constrained weights.
        situation: See `Key`.
        x: Input; state: before the first step; masked: whether sequences may end early.

    Raises:
        Unsupported: Where there can be none.
    """
    found = _found(table, cell, situation)
    if found is None:
        with _lock:
            found = _found(table, cell, situation)
            if found is None:
                found = _new(table, cell, values, situation, x, state, masked)
    if isinstance(found, Unsupported):
        raise Unsupported(*found.args)  # one that is raised holds what was at work
    return found  # type: ignore[no-any-return]


def _found(table: Table, cell: nn.Module, situation: Hashable) -> Any:
    """What is known of this very cell, if it still is as it was."""
    known = _known.get(id(cell))
    use = known.uses.get(situation) if known is not None and known.cell() is cell else None
    if use is None:
        return None
    try:
        return table.get(use.key) if use.check(cell) else None
    except Exception:  # noqa: BLE001  (what was there is there no more)
        return None


def _new(
    table: Table,
    cell: nn.Module,
    values: Mapping[str, Tensor],
    situation: Hashable,
    x: Tensor,
    state: State,
    masked: bool,
) -> Any:
    """What there is for a cell that is built like another, or is made now."""
    from rnnvanish.engine.cache.dependencies import Reads
    from rnnvanish.engine.compile import reasons

    known = _known.get(id(cell))
    if known is None or known.cell() is not cell:
        _known[id(cell)] = known = _Known(weakref.ref(cell, partial(_forget, id(cell))))
    kind, own = f"{type(cell).__module__}.{type(cell).__qualname__}", list(cell.modules())
    for key in [key for key in table if key.kind == kind and key.situation == situation and key.names is not None]:
        with suppress(Exception):
            reads = Reads(key.names or (), key.codes, own)
            check = reads.check(cell)
            if tuple(reads.signature) == key.signature:
                known.uses[situation] = _Use(check, key)
                table[key] = table.pop(key)  # the last that was used
                return table[key]
    known.changes[situation] += 1
    if known.changes[situation] > CHANGES:
        restless = Unsupported("program for settings that change from call to call")
        return _keep(table, known, Key(kind, situation), lambda now: True, restless)
    # In a thread of its own: modes and hooks that are in force here (checkpoint, inference) stay outside.
    with ThreadPoolExecutor(1) as thread:
        result, names, codes = thread.submit(_try, cell, values, x, state, masked).result()
    if names is not None:
        try:
            with reasons():
                reads = Reads(names, codes, own)
                check = reads.check(cell)
            if strange := [code.co_qualname for code in codes if not _written_in(code, reads.met)]:
                raise Unsupported(f"way to see where {strange[0]}, which its step calls, comes from")
            key = Key(kind, situation, names, frozenset(codes), tuple(reads.signature))
            return _keep(table, known, key, check, result)
        except Unsupported as reason:
            result = Unsupported(*reason.args)
    settings = _settings(cell)
    return _keep(table, known, Key(kind, situation), lambda now: _settings(now) == settings, result)


def _try(
    cell: nn.Module, values: Mapping[str, Tensor], x: Tensor, state: State, masked: bool
) -> tuple[Any, frozenset[str] | None, set[CodeType]]:
    """A program or the reason against it; the names by which the step reads, where it came to its end; and its code."""
    from rnnvanish.engine.cache.side_effects import Watched
    from rnnvanish.engine.compile import make, reasons
    from rnnvanish.engine.ir.parameters import private_copy

    _here.making = True
    watched = None
    try:
        with reasons():
            copy = private_copy(cell, values)
            watched = Watched(copy)
            return make(copy, watched, x, state, masked), frozenset(watched.names), watched.codes
    except Unsupported as reason:
        names = frozenset(watched.names) if watched is not None and watched.done else None
        return Unsupported(*reason.args), names, watched.codes if watched is not None else set()


def _keep(table: Table, known: _Known, key: Key, check: "Check", result: Any) -> Any:
    known.uses[key.situation] = _Use(check, key)
    table[key] = result
    used = {id(use.key) for each in list(_known.values()) for use in each.uses.values()}
    idle = [each for each in table if id(each) not in used]
    for each in idle[: max(len(idle) - KEPT, 0)]:
        del table[each]
    return result


def _forget(number: int, _: Any) -> None:
    _known.pop(number, None)


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


def _written_in(code: CodeType, others: set[CodeType]) -> bool:
    return code in others or any(
        _written_in(code, {each for each in other.co_consts if isinstance(each, CodeType)}) for other in others
    )
