"""What stands in a copy of a model for what cannot be copied: hidden states with a graph, locks, loggers, files, generators.

A copy is run. It must take nothing from what the model still needs, such as a generator, and write nothing to where the
model writes, such as a log.
"""

import copy
import io
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from rnnvanish.observe.restore.snapshot import IMMUTABLE_TYPES

#: Each kind of lock, and what makes one.
LOCKS: dict[type, Callable[[], Any]] = {type(make()): make for make in (threading.Lock, threading.RLock)}
#: What a copy uses as it is: it brings data, or runs what it is given.
SHARED = (ModuleType, Dataset, DataLoader, Executor)
CONTAINERS = (dict, list, tuple, set, frozenset, deque)
#: What deepcopy takes as it is, or, of a method, with another owner.
ATOMS = (FunctionType, BuiltinFunctionType, MethodType, type, weakref.ReferenceType)


def stand_ins(model: nn.Module, careful: bool = False) -> dict[int, Any]:
    """Find what of `model` `copy.deepcopy` cannot copy, or must not; returns a memo for it: what is taken instead, by id.

    A tensor of a graph becomes its number, a lock an open one, a logger or a file that is written to one that leads
    nowhere. What gives everything once, or cannot be copied for another reason, becomes an `Uncopied`.

    Args:
        model: What is to be copied.
        careful: Whether to try each plain object by itself, from the innermost out.
    """
    memo: dict[int, Any] = {}
    seen: dict[int, tuple[str, Any]] = {}  # holding them keeps their ids theirs
    waiting: deque[tuple[str, Any]] = deque([(type(model).__name__, model)])
    while waiting:
        path, value = waiting.popleft()
        if type(value) in IMMUTABLE_TYPES or id(value) in seen:
            continue
        seen[id(value)] = path, value
        found = _stand_in(path, value, memo)
        if found is not None:
            memo[id(value)] = found
        else:
            waiting.extend(_held_by(path, value))
    for path, value in reversed(seen.values()) if careful else ():
        if not isinstance(value, (nn.Module, Tensor, *CONTAINERS, *ATOMS)) and id(value) not in memo:
            try:
                copy.deepcopy(value, dict(memo))
            except Exception:  # noqa: BLE001  # each class has its own words for it
                memo[id(value)] = Uncopied(path, type(value).__name__)
    memo[id(memo)] = [seen]  # as deepcopy keeps alive what it has met
    return memo


class Silent:
    """Stands for what works in the background, such as a writer of logs: whatever it is asked to do, it does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


class Uncopied:
    """Stands for what cannot be given twice: to use it is an error that says so."""

    def __init__(self, path: str, what: str) -> None:
        self._said = (
            f"{path}, a {what}, cannot be copied, so that a second run would use up what the model still needs: nothing "
            "that needs it can be tried on a copy. Let the model make it anew in each forward, or hand in what it gives."
        )

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(self._said)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_said":
            raise AttributeError(name)
        self._refuse()

    def __iter__(self) -> "Uncopied":
        return self  # as a generator does, before it gives anything

    __call__ = __next__ = __getitem__ = __len__ = __bool__ = __contains__ = __enter__ = _refuse


def _stand_in(path: str, value: Any, memo: dict[int, Any]) -> Any:
    """What is taken instead of one object; None where it is copied as it is."""
    kind = type(value)
    if isinstance(value, Tensor):
        return _without_graph(value)
    if kind in LOCKS:
        return LOCKS[kind]()
    if isinstance(value, threading.Condition):  # its methods are those of its lock
        lock = value._lock  # type: ignore[attr-defined]
        return threading.Condition(memo.setdefault(id(lock), LOCKS[type(lock)]()))
    if isinstance(value, (nn.Module, *CONTAINERS, *ATOMS)):
        return None
    if isinstance(value, SHARED) or hasattr(kind, "train_dataloader"):
        return value
    if isinstance(value, logging.Logger):
        return _silent_logger(value.name)
    if isinstance(value, io.IOBase) and not isinstance(value, io.StringIO | io.BytesIO):
        return _nowhere(value) or Uncopied(path, kind.__name__)
    if isinstance(value, threading.Thread) or any(isinstance(each, threading.Thread) for each in _attributes(value)):
        return Silent()
    own_way = hasattr(kind, "__deepcopy__")
    return None if own_way or (_reduced(value) and not hasattr(kind, "__del__")) else Uncopied(path, kind.__name__)


def _without_graph(value: Tensor) -> Tensor | None:
    """The numbers of a tensor that, or whose gradient, has a graph; None for another, and for parameters, copied without."""
    if not value.is_leaf:
        return value.detach().clone()
    if value.grad is None or value.grad.is_leaf or isinstance(value, nn.Parameter):
        return None
    copied = value.detach().clone().requires_grad_()
    copied.grad = value.grad.detach().clone()
    return copied


def _held_by(path: str, value: Any) -> list[tuple[str, Any]]:
    """What an object holds, with the way to it."""
    if isinstance(value, dict):
        return [(f"{path}[{key!r}]", each) for key, each in value.items()]
    if isinstance(value, CONTAINERS):
        return [(f"{path}[{place}]", each) for place, each in enumerate(value)]
    if isinstance(value, MethodType):
        return [(path, value.__self__)]
    if isinstance(value, ATOMS) or (hasattr(type(value), "__deepcopy__") and not isinstance(value, Tensor | nn.Module)):
        return []
    named: dict[str, Any] = {}
    if isinstance(value, nn.Module):
        named = {**value._modules, **value._parameters, **value._buffers}
    found = [(f"{path}.{name}", each) for name, each in (named | getattr(value, "__dict__", {})).items()]
    if isinstance(value, Tensor | nn.Module):
        return found
    reduced = _reduced(value)  # an iterator over others, for instance
    return found + [(path, each) for each in (reduced[1:] if isinstance(reduced, tuple) else ())]


def _attributes(value: Any) -> list[Any]:
    return list(getattr(value, "__dict__", {}).values())


def _reduced(value: Any) -> Any:
    """What deepcopy makes a copy from; None where there is nothing."""
    try:
        return value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001  # each class has its own words for it
        return None


def _silent_logger(name: str) -> logging.Logger:
    silent = logging.Logger(name, logging.CRITICAL + 1)  # noqa: LOG001  # getLogger gives the model's own
    silent.propagate = False
    return silent


def _nowhere(file: io.IOBase) -> io.IOBase | None:
    """A file to write to that is nobody's; None for one that is read."""
    reads: Callable[[], bool] = getattr(file, "readable", lambda: True)
    try:
        if reads():
            return None
    except ValueError:  # it is closed
        pass
    return io.StringIO() if isinstance(file, io.TextIOBase) else io.BytesIO()
