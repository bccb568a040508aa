"""What a step reads that can change: settings, containers, globals, closures, classes, the very code of its functions.

Python is read by names. So whatever a step may read lies behind the names that stand in its code, seen from the cell
and from the globals and closures of its functions. `Dependencies` follows them once, and makes of what is there a
guard, quick enough for every call, and a signature, equal where all that is read is equal.
"""

import dis
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import cached_property, lru_cache, partial, partialmethod
from itertools import chain, repeat
from logging import Logger
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rnnvanish.engine.cache.library_code import is_library, is_library_function, is_pure
from rnnvanish.engine.ir.parameters import CONSTRAINTS
from rnnvanish.engine.ir.unsupported import Unsupported

#: Says whether a value that stands in the same place is what it was.
Guard = Callable[[Any], bool]

#: Bytes of a tensor or an array that are worth comparing at every call.
MAX_BYTES = 2**15
#: Attributes of an object of which all are looked at, where it is not known which are read.
MAX_ATTRIBUTES = 1000
#: What never changes. (A number is another one where its type or its sign is.)
IMMUTABLE = (
    type(None), bool, int, float, complex, str, bytes, range, slice, type(...), type(NotImplemented), torch.dtype,
    torch.device, torch.layout, torch.memory_format, CodeType, np.dtype,
)  # fmt: skip
#: What reads names that do not stand in the code.
DYNAMIC_LOOKUPS = frozenset(
    {"getattr", "hasattr", "vars", "dir", "__dict__", "attrgetter", "__getattribute__", "asdict", "astuple"}
)
#: What every module has; the rest are settings of its own.
MODULE_ATTRIBUTES = frozenset(vars(nn.Module())) - {"training"}
#: Modules whose objects never change, or show what they hold.
IMMUTABLE_MODULES = frozenset({
    "types", "argparse", "typing", "pathlib", "re", "fractions", "datetime", "numpy", "numpy.dtypes", "torch._ops",
})  # fmt: skip
#: Calls of a logger are seen.
_IMMUTABLE_OBJECTS = (Logger, MemberDescriptorType, GetSetDescriptorType)
_CLASS_NOISE = frozenset({"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__abstractmethods__"})


@lru_cache(1024)
def global_names(code: CodeType) -> tuple[str, ...]:
    """The globals that a function's code and the functions within it read."""
    names = {each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return tuple(sorted(names.union(*map(global_names, nested_code(code)))))


def nested_code(code: CodeType) -> list[CodeType]:
    """The code of the functions that are written in a function."""
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def names_in(code: CodeType) -> set[str]:
    """All names by which a function's code reads, words in it that may be names included."""
    words = {each for each in code.co_consts if isinstance(each, str) and each.isidentifier()}
    return {code.co_name, *code.co_names, *words}.union(*map(names_in, nested_code(code)))


class Dependencies:
    """What is read by some names.

    Args:
        names: The names.
        codes: The code of the functions that run, and so read.
        own: Modules whose parameters and buffers the step is given: what these are does not count.

    Attributes:
        signature: Equal where everything that is read is equal; holds nothing of the user's.
        reached: The code of those of these functions that were reached.
        mutable: What was reached that can be written into, by its id.
    """

    def __init__(self, names: Iterable[str], codes: Iterable[CodeType], own: Iterable[nn.Module]) -> None:
        self.names = frozenset(names) | {"forward"}
        self.own = {id(module) for module in own}
        self.all_names = bool(self.names & DYNAMIC_LOOKUPS)
        self.signature: list[Any] = []
        self.codes = frozenset(codes)
        self.reached: set[CodeType] = set()
        self.mutable: dict[int, Any] = {}
        self._visited: dict[int, tuple[int, Any, Guard | None]] = {}
        self._guards: list[tuple[weakref.ref[Any], Guard]] = []

    def guard(self, value: Any) -> Guard:
        """Follow a value; return what says whether it, and all that follows from it, is still what it is now.

        Raises:
            Unsupported: For what nobody can look into.
        """
        first, guards = self._follow(value), self._guards

        def guard(now: Any) -> bool:
            for same, each in guards:
                there = same()
                if there is None or not each(there):
                    return False
            return first is None or first(now)

        return guard

    def _follow(self, value: Any) -> Guard | None:
        """Follow a value; None where it is what it was as long as it is the same object, and `_guards` hold."""
        kind = type(value)
        if kind in IMMUTABLE or _is_opaque(value):
            self.signature.append(_plain(value))
            return None
        if id(value) in self._visited:
            at, _, known = self._visited[id(value)]
            self.signature.append(("again", at))
            if known is _in_progress and kind is MethodType:
                ids = id(value.__func__), id(value.__self__)
                return lambda now: type(now) is MethodType and (id(now.__func__), id(now.__self__)) == ids
            if known is _in_progress:
                raise Unsupported(f"way to look into a {kind.__name__} that holds itself")
            return known
        at = len(self.signature)
        self.signature.append((kind.__module__, kind.__qualname__))
        try:
            same = weakref.ref(value) if kind is not MethodType else None
        except TypeError:  # it is known by what is in it
            same = None
        # The value is held, too: an id counts while its object lives.
        self._visited[id(value)] = at, value, _in_progress if same is None else None
        inside = self._guards_within(value)
        if same is not None:
            self._guards += [(same, guard) for guard in inside]
            return None

        def guard(now: Any) -> bool:
            return type(now) is kind and all(each(now) for each in inside)

        self._visited[id(value)] = at, value, guard
        return guard

    def _guards_within(self, value: Any) -> list[Guard]:
        """What follows from a value, besides which one it is."""
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, ModuleType):
            if is_library(value.__name__) and not is_pure(value.__name__) and is_pure(value.__name__.partition(".")[0]):
                raise Unsupported(f"way to follow its step into {value.__name__}")
            return self._guard_names(vars, value, self._names_present(vars(value)))
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value)
        for kinds, children in _CHILDREN:
            if isinstance(value, kinds):
                return self._guard_children(value, children)
        return self._object(value)

    def _guard_children(self, value: Any, children: Callable[[Any], Iterable[Any]]) -> list[Guard]:
        """Some values of an object, in order."""
        parts = list(children(value))
        self.signature.append(len(parts))
        guards = [self._follow(part) for part in parts]
        # An id counts while its object lives: the others are looked at themselves.
        plain = [part for part in parts if type(part) in IMMUTABLE or _is_opaque(part)]
        ids = [id(part) for part in parts]
        if not any(guards):
            return [lambda now, plain=plain: [*map(id, children(now))] == ids]  # type: ignore[misc]

        def guard(now: Any, plain: Any = plain) -> bool:
            parts = list(children(now))
            return len(parts) == len(ids) and all(
                id(part) == number if guard is None else guard(part)
                for part, number, guard in zip(parts, ids, guards, strict=True)
            )

        return [guard]

    def _guard_names(
        self,
        holder: Callable[[Any], Mapping[str, Any]],
        value: Any,
        names: Sequence[str],
        more: Callable[[Any], Iterable[Any]] | None = None,
        keys: bool = False,
    ) -> list[Guard]:
        """What a mapping has under some names, or that it has not; `keys`: and whether it has others by now."""
        self.signature += names
        missing = repeat(NotImplemented)
        if more is None:
            guards = self._guard_children(value, lambda now: map(holder(now).get, names, missing))
        else:
            guards = self._guard_children(value, lambda now: (*more(now), *map(holder(now).get, names, missing)))
        if keys:
            order, (same,) = list(holder(value)), guards
            return [lambda now: [*holder(now)] == order and same(now)]
        return guards

    def _function(self, function: FunctionType) -> list[Guard]:
        """Code, defaults, closure and globals of a function; of a library's only what it wraps."""
        code = function.__code__
        if is_library_function(function):
            self.signature.append(code)
            return self._guard_names(vars, function, ["__wrapped__"])
        if code not in self.codes:
            return self._guard_children(function, lambda each: (each.__code__,))
        self.reached.add(code)
        guards = self._guard_names(lambda each: each.__globals__, function, global_names(code), _parts_of_function)
        return guards + (
            self._guard_names(vars, function, self._names_present(vars(function))) if vars(function) else []
        )

    def _class(self, kind: type) -> list[Guard]:
        """A class and those that it inherits from; of a library's module only its step, which some replace."""
        if is_library_function(kind):
            return self._guard_names(vars, kind, [name for name in ("forward", "__call__") if name in vars(kind)])
        members = [name for name in self._names_present(vars(kind)) if name not in _CLASS_NOISE]
        return self._guard_names(vars, kind, members, lambda each: each.__mro__[1:], keys=True)

    def _object(self, value: Any) -> list[Guard]:
        """Something with contents, attributes, or both."""
        kind = type(value)
        more: Callable[[Any], tuple[Any, ...]] = _kind
        if isinstance(value, nn.Module):
            more = _kind_and_modules
            if CONSTRAINTS in vars(value)["_modules"] and parametrize.is_parametrized(value):
                kind, more = type(value).__mro__[1], _unconstrained_kind_and_modules
        contents = self._guard_contents(value)
        immutable = kind.__module__ in IMMUTABLE_MODULES or isinstance(value, _IMMUTABLE_OBJECTS)
        library = is_library(kind.__module__) and not isinstance(value, nn.Module)
        if not contents and not immutable and kind is not object and library:
            raise Unsupported(f"way to see when a {kind.__module__}.{kind.__qualname__}, which its step reads, changes")
        slots = [name for each in kind.__mro__ for name in _slots(each) if name in self.names or self.all_names]
        if slots:
            contents += self._guard_children(
                value, lambda each: [getattr(each, name, NotImplemented) for name in slots]
            )
        if slots or hasattr(value, "__dict__"):
            self.mutable[id(value)] = value
        if hasattr(value, "__dict__"):
            return contents + self._guard_names(vars, value, self._settings(value, kind), more, keys=True)
        return contents + self._guard_children(value, more)

    def _settings(self, value: Any, kind: type) -> list[str]:
        """The attributes of an object that count."""
        if not isinstance(value, nn.Module):
            return self._names_present(vars(value))
        common = MODULE_ATTRIBUTES if id(value) in self.own else MODULE_ATTRIBUTES - {"_parameters", "_buffers"}
        settings = [name for name in vars(value) if name not in common]
        inherits = any(each is not nn.Module and is_library(each.__module__) for each in kind.__mro__[:-1])
        if inherits or self.all_names:
            return settings
        return [name for name in settings if name in self.names or name in MODULE_ATTRIBUTES or name == "training"]

    def _names_present(self, there: Mapping[str, Any]) -> list[str]:
        if self.all_names and len(there) < MAX_ATTRIBUTES:
            return [name for name in there if name in self.names or not name.startswith("__")]
        return sorted(self.names.intersection(there))

    def _guard_contents(self, value: Any) -> list[Guard]:
        """What a container holds."""
        if isinstance(value, int | float | complex | str | bytes):
            base: Any = next(each for each in (int, float, complex, str, bytes) if isinstance(value, each))
            self.signature.append(_plain(base.__new__(base, value)))  # of a class of its own
            return [lambda now: now is value]
        if isinstance(value, list | tuple | set | frozenset | deque):
            if not isinstance(value, tuple | frozenset):
                self.mutable[id(value)] = value
            return self._guard_children(value, iter)
        if isinstance(value, dict | MappingProxyType):
            self.mutable[id(value)] = value
            factory = (
                self._guard_children(value, lambda each: (each.default_factory,))
                if isinstance(value, defaultdict)
                else []
            )
            return [
                *self._guard_children(value, iter),
                *self._guard_children(value, lambda each: each.values()),
                *factory,
            ]
        return []

    def _tensor(self, value: Tensor) -> list[Guard]:
        if value.requires_grad:
            raise Unsupported("gradient for a tensor that its step reads and that is no parameter (nn.Parameter)")
        if (
            value.device.type != "cpu"
            or value.layout != torch.strided
            or value.nbytes > MAX_BYTES
            or value.is_quantized
        ):
            raise Unsupported("quick look at a tensor that its step reads and that is no buffer (register_buffer)")
        was = _bytes(value)
        kind = value.dtype, value.shape
        self.signature.append((*map(str, kind), was.numpy().tobytes()))
        return [lambda now: (now.dtype, now.shape) == kind and not now.requires_grad and torch.equal(_bytes(now), was)]

    def _array(self, value: Any) -> list[Guard]:
        if value.nbytes > MAX_BYTES or value.dtype.hasobject:
            raise Unsupported("quick look at an array that its step reads and that is no buffer (register_buffer)")
        if isinstance(value, np.ndarray):
            self.mutable[id(value)] = value
        was = value.dtype, value.shape, value.tobytes()
        self.signature.append((*map(str, was[:2]), was[2]))
        return [lambda now: (now.dtype, now.shape, now.tobytes()) == was]


_CHILDREN: list[tuple[Any, Callable[[Any], Iterable[Any]]]] = [
    (Enum, lambda each: (type(each), each.name, each.value)),
    (MethodType, lambda each: (each.__func__, each.__self__)),
    (staticmethod | classmethod, lambda each: (each.__func__,)),
    (partial | partialmethod, lambda each: (each.func, each.args, each.keywords)),
    (property, lambda each: (each.fget,)),
    (cached_property, lambda each: (each.func,)),
]


def _in_progress(now: Any) -> bool:
    """Stand in for the guard of what is being followed."""
    raise NotImplementedError


def _plain(value: Any) -> Any:
    """What never changes, as it is written: 1, True and 1.0 are three, and so are 0.0 and -0.0; nan is one."""
    kind = type(value)
    if kind not in IMMUTABLE:  # a library's
        return value
    return kind.__name__, value if kind in (int, bool, str, bytes, CodeType) else repr(value)


def _is_opaque(value: Any) -> bool:
    """Whether it is a library's function or class in which there is nothing to look for."""
    if not is_library_function(value) or (isinstance(value, type) and issubclass(value, nn.Module)):
        return False
    return not (isinstance(value, FunctionType) and "__wrapped__" in vars(value))


def _parts_of_function(function: FunctionType) -> tuple[Any, ...]:
    cells = map(_cell_content, function.__closure__ or ())
    return function.__code__, function.__defaults__, function.__kwdefaults__, *cells


def _kind(value: Any) -> tuple[Any, ...]:
    return (type(value),)


def _kind_and_modules(module: nn.Module) -> tuple[Any, ...]:
    return type(module), *chain.from_iterable(vars(module)["_modules"].items())


def _unconstrained_kind_and_modules(module: nn.Module) -> tuple[Any, ...]:
    """Those that it would have without a constraint: what its weights are computed by is no part of the step."""
    children = (each for each in vars(module)["_modules"].items() if each[0] != CONSTRAINTS)
    return type(module).__mro__[1], *chain.from_iterable(children)


def _slots(kind: type) -> Sequence[str]:
    slots = vars(kind).get("__slots__", ())
    return () if is_library(kind.__module__) else [slots] if isinstance(slots, str) else list(slots)


def _cell_content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return NotImplemented


def _bytes(tensor: Tensor) -> Tensor:
    """The numbers of a tensor, each as it is written: of their own memory."""
    return tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)
