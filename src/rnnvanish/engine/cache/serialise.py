"""Staged steps as data: numbers, names and lists of them, which nothing runs while they are read.

What is read has the types that the classes of a staged step declare, and its words are names: a code generator writes
some of them into the text of a loop. Whether it is the step that was asked for is for `verify` to see.
"""

import math
import operator
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from rnnvanish.compat.tracing import schema
from rnnvanish.engine.cache import disk
from rnnvanish.engine.ir.prologue import Call, Rows, Slot
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Value, walk
from rnnvanish.engine.plan.staged_step import StagedStep

OpOverload: Any = type(torch.ops.aten.neg.default)
#: The words of a staged step: names of operations, of memory, of arguments.
WORD = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
#: What torch names, and how it is asked for by name.
NAMED: dict[str, tuple[type, Callable[[str], Any]]] = {
    "dtype": (torch.dtype, lambda name: getattr(torch, name)),
    "layout": (torch.layout, lambda name: getattr(torch, name)),
    "memory_format": (torch.memory_format, lambda name: getattr(torch, name)),
    "device": (torch.device, torch.device),
}


def load(name: str) -> StagedStep | Unsupported | None:
    """A step that is kept under a name, or the reason why there is none; None where there is nothing, or nonsense."""
    found = disk.read(name)
    if found is None:
        return None
    data, numbers = found
    with suppress(Exception):  # whatever is wrong with it: it is made anew
        match data:
            case {"unsupported": str(reason)} if reason.isprintable():
                return Unsupported(reason)
            case {"values": list(values), "staged": staged}:
                return _Reader(values, numbers).staged(staged)
    return None


def save(name: str, result: StagedStep | Unsupported) -> None:
    """Keep a step, or the reason why there is none, where it can be written as data."""
    if isinstance(result, Unsupported):
        disk.write(name, {"unsupported": str(result)})
        return
    writer = _Writer()
    try:
        staged = writer.data(result)
    except (TypeError, RecursionError):  # nested too deeply: it is made anew
        return
    if all(map(_only_computes, (*result.prologue.calls, *result.input_stage.calls))):
        disk.write(name, {"values": writer.values, "staged": staged}, bytes(writer.numbers))


def _only_computes(call: Call) -> bool:
    """Whether it is one of torch's own that changes nothing, and does not open files."""
    if call.function is operator.getitem:
        return True
    if not isinstance(call.function, OpOverload):
        return False
    about = schema(call.function)
    kinds = [str(arg.type) for arg in about.arguments]
    named = "str" in kinds and not any("Tensor" in kind for kind in kinds)
    return call.function.namespace in ("aten", "prims") and not about.is_mutable and not named


class _Writer:
    """Writes a staged step; `values` are its values, arguments first, and `numbers` those of its constants."""

    def __init__(self) -> None:
        self.index: dict[Value, int] = {}
        self.values: list[Any] = []
        self.numbers = bytearray()

    def data(self, part: Any) -> Any:
        """An object as the list of what it consists of, a value by its number, words and numbers as they are."""
        if isinstance(part, bool | int | float | None) or (isinstance(part, str) and WORD.fullmatch(part)):
            return part
        if isinstance(part, Value):
            for each in walk([part], self.index):
                self.values.append(self._parts(each))
                self.index[each] = len(self.index)
            return self.index[part]
        if isinstance(part, dict):
            return [self.data(pair) for pair in part.items()]
        if isinstance(part, tuple | list | frozenset):
            return [self.data(each) for each in (sorted(part) if isinstance(part, frozenset) else part)]
        if isinstance(part, Tensor):
            return self._tensor(part)
        if isinstance(part, Slot):
            return {"slot": part.index}
        if isinstance(part, Rows):
            return {"rows": part.each}
        if is_dataclass(part):
            return self._parts(part)
        for kind, (known, _) in NAMED.items():
            if isinstance(part, known):
                return {kind: str(part).removeprefix("torch.")}
        raise TypeError(f"{type(part).__name__} is no data")

    def _parts(self, part: Any) -> list[Any]:
        return [self.data(getattr(part, field.name)) for field in fields(part)]

    def _tensor(self, tensor: Tensor) -> list[Any]:
        plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        self.numbers += plain.view(torch.uint8).numpy().tobytes()
        return [self.data(tensor.dtype), list(tensor.shape), self.data(tensor.device)]


class _Reader:
    """Reads a staged step again; whatever is not as the classes declare it raises an exception."""

    def __init__(self, values: list[Any], numbers: bytes) -> None:
        self.values: list[Value] = []
        self.numbers, self.at = bytearray(numbers), 0
        for each in values:
            self.values.append(self._object(Value, each))
            for number in self.values[-1].detail:
                _expect(number, bool | int | float)

    def staged(self, data: Any) -> StagedStep:
        """The step."""
        staged: StagedStep = self._object(StagedStep, data)
        if not all(map(_only_computes, (*staged.prologue.calls, *staged.input_stage.calls))):
            raise ValueError("an operation that does more than to compute")
        return staged

    def read(self, kind: Any, data: Any) -> Any:
        """What was written of a part that is declared to be of this kind."""
        if kind is Any:
            return self._argument(data)
        if kind is int:
            return _count(data)
        if kind is str:
            return _word(data)
        if kind is Value:
            return self.values[_count(data)]
        if kind is Tensor:
            return self._tensor(data)
        if kind is Slot or kind is torch.dtype:
            return _expect(self._argument(data), kind)
        if kind is bool or kind is float:
            return _expect(data, kind)
        if isinstance(kind, type) and issubclass(kind, IntEnum):
            return kind(_count(data))
        if is_dataclass(kind):
            return self._object(kind, data)
        made, kinds = get_origin(kind), get_args(kind)
        items = _expect(data, list)
        if made is dict:
            return {self.read(kinds[0], key): self.read(kinds[1], value) for key, value in items}
        if made is tuple and kinds[-1] is not Ellipsis:
            return tuple(self.read(each, item) for each, item in zip(kinds, items, strict=True))
        return made(self.read(kinds[0], item) for item in items)

    def _object(self, kind: Any, data: Any) -> Any:
        return kind(*(self.read(each, item) for each, item in zip(_kinds(kind), data, strict=True)))

    def _argument(self, data: Any) -> Any:
        """An argument of a call."""
        match data:
            case list():
                return tuple(map(self._argument, data))
            case {"slot": index}:
                return Slot(_count(index))
            case {"rows": each}:
                return Rows(_count(each))
            case dict():
                ((kind, name),) = data.items()
                known, named = NAMED[kind]
                return _expect(named(_expect(name, str)), known)
            case str():
                return _word(data)
        return _expect(data, bool | int | float | None)

    def _tensor(self, data: Any) -> Tensor:
        dtype, shape, device = data
        dtype, device = self.read(torch.dtype, dtype), self._argument(device)
        shape = self.read(tuple[int, ...], shape)
        start, self.at = self.at, self.at + math.prod(shape) * dtype.itemsize
        if self.at == start:
            return torch.empty(shape, dtype=dtype, device=device)
        part = self.numbers[start : self.at]
        return torch.frombuffer(part, dtype=dtype).reshape(shape).to(device)


def _count(data: Any) -> int:
    if type(data) is not int or data < 0:
        raise ValueError(f"{data!r:.50} counts nothing")
    return data


def _word(data: Any) -> str:
    if not isinstance(data, str) or not WORD.fullmatch(data):
        raise ValueError(f"{data!r:.50} is no word")
    return data


def _expect(data: Any, kind: Any) -> Any:
    if not isinstance(data, kind):
        raise ValueError(f"{data!r:.50} is not {kind}")
    return data


@cache
def _kinds(kind: type) -> list[Any]:
    """Of what kind the parts of an object are."""
    hints = get_type_hints(kind)
    return [hints[field.name] for field in fields(kind)]
