"""Running a step to look at it, in a sandbox: ended before it does anything that its caller could see.

Tracing runs the cell's own code, on a copy of the cell. What that code does besides (print, draw, count, write to what
is not the cell's) would be done once more than in the plain loop, and then, in a compiled loop, no more at all.
"""

import dis
import gc
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnnvanish.engine.cache.dependencies import Dependencies, Guard, global_names, names_in
from rnnvanish.engine.cache.library_code import is_library_code, is_pure
from rnnvanish.engine.ir.unsupported import Unsupported

#: Of Python's own functions, those that do more than compute from their arguments.
IMPURE_BUILTINS = frozenset({
    "print", "open", "input", "exec", "eval", "compile", "__import__", "breakpoint", "setattr", "delattr", "globals",
    "locals", "id", "hash", "memoryview",
})  # fmt: skip
#: Methods by which a list, dict, set or deque is written into.
MUTATING_METHODS = frozenset({
    "append", "appendleft", "extend", "extendleft", "insert", "pop", "popleft", "popitem", "remove", "clear", "update",
    "setdefault", "add", "discard", "sort", "reverse", "rotate", "difference_update", "intersection_update",
    "symmetric_difference_update", "__setitem__", "__delitem__", "__setattr__", "fill", "put", "partition", "resize",
    "setflags", "itemset", "byteswap", "setfield",
})  # fmt: skip
#: What a step asks of tensors, or of torch, that is not what it computes.
FORBIDDEN_METHODS = frozenset({
    "requires_grad_", "backward", "retain_grad", "register_hook", "register_post_accumulate_grad_hook", "share_memory_",
    "manual_seed", "seed", "initial_seed", "set_default_dtype", "set_num_threads", "data_ptr", "is_inference",
    "is_inference_mode_enabled",
})  # fmt: skip
#: Where the code of a step has such names, what it computes may depend on whether there is a gradient.
GRADIENT_NAMES = frozenset({"is_grad_enabled", "requires_grad", "is_leaf", "grad_fn"})
#: The same for the number of sequences.
BATCH_NAMES = frozenset({"shape", "size", "len", "numel", "nelement"})
_VALUE_TYPES = (
    Tensor, list, dict, set, tuple, str, int, float, complex, bytes, frozenset, range, slice, type, np.ndarray, np.generic,
    torch.dtype,
)  # fmt: skip


class _SideEffect(BaseException):
    """Not an Exception: a step that catches these goes on otherwise."""


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Have no garbage collected: who asked to be told of it (`gc.callbacks`, `__del__`) would run as if the step called it."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()


class Sandbox:
    """Runs a step without side effects, and notes which code of the user's it runs.

    Args:
        cell: A copy of the cell, nobody's but ours.

    Attributes:
        codes: That code.
        names: All names by which it reads.
        finished: Whether it has come to its end.
    """

    def __init__(self, cell: nn.Module) -> None:
        self.codes: set[CodeType] = set()
        self.names: set[str] = set()
        self.finished = False
        self._cell, self._outside = cell, [type(module) for module in cell.modules()]
        self._mutable: dict[int, Any] = {}
        self._guards: list[tuple[Any, Guard]] = []
        self._known_instructions: dict[CodeType, dict[int, dis.Instruction]] = {}
        self._refused = ""

    def __call__(self, run: Callable[[], Any]) -> Any:
        """Run; `Unsupported` where it did not come to its end."""
        before = _contents(self._cell)
        self._guard_outside()
        traces = sys.gettrace(), sys.getprofile()
        _ask_for_instructions()
        with _nothing_collected():
            sys.settrace(self._on_call)
            sys.setprofile(self._on_c_call)
            try:
                result = run()
            except _SideEffect:
                result = None
            finally:
                sys.setprofile(traces[1])
                sys.settrace(traces[0])
        if not self._refused and not (_same_contents(before, _contents(self._cell)) and self._is_unchanged()):
            self._refused = "way to keep what its step writes to from one step to the next"
        if self._refused:
            self.finished = False
            raise Unsupported(self._refused)
        self.finished = True
        return result

    def _is_unchanged(self) -> bool:
        return all(guard(outside) for outside, guard in self._guards)

    def _refuse(self, what: str) -> None:
        self._refused = self._refused or what
        raise _SideEffect

    def _on_call(self, frame: FrameType, event: str, arg: Any) -> Any:
        """A function is about to run."""
        code, module = frame.f_code, frame.f_globals.get("__name__")
        if is_library_code(code, module):
            back = frame.f_back
            called = back is not None and not is_library_code(back.f_code, back.f_globals.get("__name__"))
            if called and ((module is not None and not is_pure(module)) or code.co_name in FORBIDDEN_METHODS):
                self._refuse(f"way to follow its step into {module}.{code.co_name}")
            return None
        if code not in self.codes:
            self._admit(frame)
        frame.f_trace = self._on_opcode  # first: Python 3.13 hands out instructions only to a frame that has one
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._on_opcode

    def _admit(self, frame: FrameType) -> None:
        code = frame.f_code
        self.codes.add(code)
        self.names |= names_in(code)
        for each in self._instructions(code).values():
            if each.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                self._refuse(f"way to follow its step: it sets the global {each.argval}")
            outer = each.opname in ("STORE_DEREF", "DELETE_DEREF") and each.argval in code.co_freevars
            if outer and not _is_nested(code, self.codes):
                self._refuse(f"way to follow its step: it sets {each.argval}, which is not its own")
            if each.opname == "IMPORT_NAME" and not is_pure(str(each.argval)):
                self._refuse(f"way to follow its step: it imports {each.argval}")
        free = frame.f_locals
        self._outside += [free[name] for name in code.co_freevars if name in free and not _is_nested(code, self.codes)]
        self._outside += [frame.f_globals[name] for name in global_names(code) if name in frame.f_globals]
        try:
            self._guard_outside()
        except Unsupported as reason:
            self._refuse(str(reason))

    def _guard_outside(self) -> None:
        """See what there is outside of the cell, before it can be written to."""
        dependencies = Dependencies(self.names, self.codes, self._cell.modules())
        outside = tuple(self._outside)
        self._guards.append((outside, dependencies.guard(outside)))
        self._mutable = dependencies.mutable

    def _instructions(self, code: CodeType) -> dict[int, dis.Instruction]:
        if code not in self._known_instructions:
            self._known_instructions[code] = {each.offset: each for each in dis.get_instructions(code)}
        return self._known_instructions[code]

    def _on_opcode(self, frame: FrameType, event: str, arg: Any) -> Any:
        """An instruction is about to run."""
        if event == "opcode":
            each = self._instructions(frame.f_code)[frame.f_lasti]
            if each.opname in ("STORE_ATTR", "DELETE_ATTR") and frame.f_code.co_name not in (
                "__init__",
                "__post_init__",
            ):
                self._refuse(f"way to follow its step: it sets the attribute {each.argval}")
            if each.opname in ("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE") and self._mutable:
                self._refuse("way to follow its step: it writes into something beside reading what is not its own")
        return self._on_opcode

    def _on_c_call(self, frame: FrameType, event: str, arg: Any) -> None:
        """A function that is written in C is about to run."""
        if event != "c_call" or is_library_code(frame.f_code, frame.f_globals.get("__name__")):
            return
        name, owner = arg.__name__, getattr(arg, "__self__", None)
        if owner is None or isinstance(owner, ModuleType):
            module = getattr(arg, "__module__", None) or getattr(owner, "__name__", None) or "torch"
            if not is_pure(module) or (module == "builtins" and name in IMPURE_BUILTINS) or name in FORBIDDEN_METHODS:
                self._refuse(f"way to follow its step into {module}.{name}")
        elif (
            name in FORBIDDEN_METHODS
            or not isinstance(owner, _VALUE_TYPES)
            or (isinstance(owner, type) and not is_pure(owner.__module__))
        ):
            self._refuse(f"way to follow its step into {type(owner).__name__}.{name}")
        elif name in MUTATING_METHODS and id(owner) in self._mutable:
            self._refuse(f"way to follow its step: it changes a {type(owner).__name__} that is not its own")


def _ask_for_instructions() -> None:
    """Python 3.12 hands out instructions only where a frame has asked for them before a trace begins; this one ends here."""
    sys._getframe().f_trace_opcodes = True


def _is_nested(code: CodeType, others: set[CodeType]) -> bool:
    """Whether a function is written in another that runs: what it closes over is that one's."""
    return any(code in other.co_consts or (other is not code and _is_nested_in(code, other)) for other in others)


def _is_nested_in(code: CodeType, other: CodeType) -> bool:
    return any(each is code or _is_nested_in(code, each) for each in other.co_consts if isinstance(each, CodeType))


def _contents(cell: nn.Module) -> list[tuple[Any, list[Any]]]:
    """All that a cell holds and that can be written to, each with what is in it."""
    found: list[tuple[Any, list[Any]]] = []
    known: set[int] = set()

    def visit(value: Any) -> None:
        if id(value) in known or isinstance(value, type | ModuleType | Tensor):
            return
        if isinstance(value, dict):
            parts = [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset | deque):
            parts = list(value)
        elif isinstance(value, np.ndarray):
            parts = [value.tobytes()]
        elif hasattr(value, "__dict__") and (isinstance(value, nn.Module) or not callable(value)):
            parts = [vars(value)]
        else:
            return
        known.add(id(value))
        found.append((value, parts))
        for each in parts:
            visit(each)

    visit(cell)
    return found


def _same_contents(before: list[tuple[Any, list[Any]]], after: list[tuple[Any, list[Any]]]) -> bool:
    """Whether the same holders hold the same."""
    return len(before) == len(after) and all(
        one is other
        and len(parts) == len(now)
        and all(each is its or (isinstance(each, bytes) and each == its) for each, its in zip(parts, now, strict=True))
        for (one, parts), (other, now) in zip(before, after, strict=True)
    )
