"""Everything that somebody's objects hold, as it stands now, and how all of it is put back.

A forward may write to more than buffers: it counts in Python, appends to a list, keeps its state as an attribute, draws
from a generator of its own, renormalises an embedding. So a snapshot walks through all that can be reached from a module: its
tables and attributes, containers in them, tensors and arrays, generators of random numbers, plain objects, and what
hooks close over.
"""

import functools
import random
import sys
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader, Dataset

from rnnvanish.compat.tensors import set_version, tensor_hooks, version

#: Types of which nothing changes.
IMMUTABLE_TYPES = {
    int,
    float,
    bool,
    str,
    bytes,
    complex,
    type(None),
    type,
    torch.dtype,
    torch.device,
    torch.Size,
    slice,
    range,
}
#: What belongs to somebody else, or to nobody.
FOREIGN_TYPES = (
    type,
    ModuleType,
    BuiltinFunctionType,
    Enum,
    Dataset,
    DataLoader,
    weakref.ReferenceType,
    weakref.WeakSet,
)
#: Packages whose plain objects are left alone: a trainer, its loggers and its threads are none of a model's.
FOREIGN_PACKAGES = {
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "logging",
    "threading",
    "multiprocessing",
    "concurrent",
}
#: Where no generator of a model's own stands.
CORE = {"torch", "builtins"}
#: Packages whose classes stay as they are.
LIBRARY_PACKAGES = FOREIGN_PACKAGES | {"builtins", "abc", "typing", "collections", "torch", "numpy", "rnnvanish"}


class Snapshot:
    """What `roots` hold, as it stands now.

    What a Python generator has given is gone: that alone nobody can put back.

    Args:
        roots: Modules, functions, containers, tensors.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self._undo: list[Callable[[], None]] = []
        self._seen: dict[int, Any] = {}  # holding them keeps their ids theirs
        self._waiting: deque[tuple[Any, bool]] = deque((root, True) for root in roots)
        while self._waiting:
            self._hold(*self._waiting.popleft())

    def restore(self) -> None:
        """Put everything back; it may be done twice."""
        for undo in self._undo:
            undo()

    def _hold(self, value: Any, whole: bool) -> None:
        """Hold one object; `whole` says whether plain objects belong to the model, or were met in a function of somebody."""
        if type(value) in IMMUTABLE_TYPES or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, Tensor):
            self._hold_tensor(value)
        elif isinstance(value, tuple | frozenset):
            self._later(value, whole)
        elif isinstance(value, dict | list | set | deque):
            self._hold_container(value, whole)
        elif isinstance(value, FunctionType | MethodType | functools.partial | CellType):
            self._hold_function(value)
        elif undo := _restorer_of_generator(value):
            self._undo.append(undo)
        elif isinstance(value, nn.Module) or (whole and not _is_foreign(value)):
            self._hold_object(value)

    def _later(self, values: Iterable[Any], whole: bool) -> None:
        self._waiting.extend((value, whole) for value in values if type(value) not in IMMUTABLE_TYPES)

    def _hold_container(self, value: Any, whole: bool) -> None:
        copy: list[Any] = list(value.items() if isinstance(value, dict) else value)
        self._undo.append(functools.partial(_refill, value, copy))
        self._later(value.values() if isinstance(value, dict) else value, whole)

    def _hold_function(self, value: Any) -> None:
        if isinstance(value, FunctionType):
            self._later(value.__closure__ or (), whole=False)
        elif isinstance(value, MethodType):
            self._later((value.__self__, value.__func__), whole=False)
        elif isinstance(value, functools.partial):
            self._later((value.func, *value.args, *value.keywords.values()), whole=False)
        else:
            try:
                content = value.cell_contents
            except ValueError:  # not yet filled
                return
            self._undo.append(functools.partial(setattr, value, "cell_contents", content))
            self._later((content,), whole=False)

    def _hold_object(self, value: Any) -> None:
        kind = type(value)
        slots = {name: getattr(value, name) for name in _slot_names(kind) if hasattr(value, name)}
        own = getattr(value, "__dict__", None)
        if isinstance(own, dict):
            self._undo.append(functools.partial(_refill, own, list(own.items())))
            self._later(own.values(), whole=True)
        if slots:
            self._undo.append(functools.partial(_refill_slots, value, slots))
            self._later(slots.values(), whole=True)
        if isinstance(value, nn.Module):
            self._undo.append(functools.partial(_restore_class, value, kind))
        for base in kind.__mro__:
            if base.__module__.partition(".")[0] not in LIBRARY_PACKAGES and id(base) not in self._seen:
                self._hold_class(base)

    def _hold_class(self, kind: type) -> None:
        self._seen[id(kind)] = kind
        own = {name: value for name, value in vars(kind).items() if not name.startswith("__")}
        self._undo.append(functools.partial(_refill_class, kind, own))
        self._later((value for value in own.values() if not isinstance(value, FunctionType)), whole=False)

    def _hold_tensor(self, value: Tensor) -> None:
        if value.__dict__:
            self._undo.append(functools.partial(_refill, value.__dict__, list(value.__dict__.items())))
            self._later(value.__dict__.values(), whole=False)
        self._later((tensor_hooks(value),), whole=False)
        if value.is_leaf:
            self._later((value.grad,), whole=False)
            self._undo.append(functools.partial(_restore_leaf, value, value.requires_grad, value.grad))
        if type(value) is Tensor or isinstance(value, nn.Parameter | nn.Buffer) or is_lazy(value):
            self._undo.append(_restorer_of_tensor(value))


def _is_foreign(value: Any) -> bool:
    package = type(value).__module__.partition(".")[0]
    return isinstance(value, FOREIGN_TYPES) or package in FOREIGN_PACKAGES or hasattr(type(value), "train_dataloader")


def _slot_names(kind: type) -> list[str]:
    if kind.__module__ == "builtins":
        return []
    found = [vars(base).get("__slots__", ()) for base in kind.__mro__]
    names = [name for slots in found for name in ((slots,) if isinstance(slots, str) else slots)]
    return [name for name in names if not name.startswith("__")]


def _refill(value: Any, copy: list[Any]) -> None:
    """Give a container its old contents, if it has others now."""
    if isinstance(value, dict):
        now = list(value.items())
        if len(now) != len(copy) or any(a is not c or b is not d for (a, b), (c, d) in zip(now, copy, strict=True)):
            kind: Any = OrderedDict if isinstance(value, OrderedDict) else dict
            kind.clear(value)
            kind.update(value, copy)
        return
    now = list(value)
    if len(now) == len(copy) and all(map(_same, now, copy)):
        return
    if isinstance(value, list):
        list.__setitem__(value, slice(None), copy)
    else:
        value.clear()
        (value.update if isinstance(value, set) else value.extend)(copy)


def _same(one: Any, other: Any) -> bool:
    return one is other


def _refill_slots(value: Any, slots: dict[str, Any]) -> None:
    for name, content in slots.items():
        if getattr(value, name, None) is not content:
            object.__setattr__(value, name, content)


def _refill_class(kind: type, own: dict[str, Any]) -> None:
    now = {name: value for name, value in vars(kind).items() if not name.startswith("__")}
    for name in now.keys() | own.keys():
        if name not in own:
            delattr(kind, name)
        elif now.get(name) is not own[name]:
            setattr(kind, name, own[name])


def _restore_class(module: nn.Module, kind: type) -> None:
    if type(module) is not kind:  # a lazy module has become another
        object.__setattr__(module, "__class__", kind)


def _restore_leaf(tensor: Tensor, requires_grad: bool, grad: Tensor | None) -> None:
    if tensor.requires_grad != requires_grad:
        tensor.requires_grad_(requires_grad)
    if tensor.grad is not grad:
        tensor.grad = grad


def _restorer_of_tensor(tensor: Tensor) -> Callable[[], None]:
    """What puts back the numbers of a tensor, in the memory where they are."""
    if is_lazy(tensor):
        return functools.partial(_restore_lazy, tensor, type(tensor), tensor.data)
    with torch.no_grad():
        alias = tensor.detach()
        return functools.partial(_restore_numbers, tensor, alias, alias.clone(), version(tensor))


def _restore_lazy(tensor: Tensor, kind: type, data: Tensor) -> None:
    if type(tensor) is not kind:
        tensor.data = data
        tensor.__class__ = kind


@torch.no_grad()
def _restore_numbers(tensor: Tensor, alias: Tensor, numbers: Tensor, before: int | None) -> None:
    if not _is_at(tensor, alias):
        tensor.data = alias
    if not _same_bits(alias, numbers):
        with torch.inference_mode(tensor.is_inference()):
            alias.copy_(numbers)
    if before is not None and version(tensor) != before:  # a graph that somebody holds is as good as before
        set_version(tensor, before)


def _is_at(tensor: Tensor, alias: Tensor) -> bool:
    if tensor.layout != torch.strided or alias.layout != torch.strided:
        return tensor.layout == alias.layout
    return (
        tensor.data_ptr() == alias.data_ptr()
        and tensor.shape == alias.shape
        and tensor.stride() == alias.stride()
        and tensor.dtype == alias.dtype
    )


def _same_bits(one: Tensor, other: Tensor) -> bool:
    if one.layout != torch.strided or one.is_meta:
        return one.is_meta
    one, other = (part.resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8) for part in (one, other))
    return torch.equal(one, other)


def _restorer_of_generator(value: Any) -> Callable[[], None] | None:
    """What puts back a generator of random numbers, or an array."""
    if isinstance(value, np.ndarray):
        return functools.partial(np.copyto, value, value.copy(), casting="no")
    if isinstance(value, random.Random):
        return functools.partial(value.setstate, value.getstate())
    if isinstance(value, np.random.RandomState):
        return functools.partial(value.set_state, value.get_state())
    if isinstance(value, np.random.Generator | np.random.BitGenerator):
        bits = value.bit_generator if isinstance(value, np.random.Generator) else value
        return functools.partial(setattr, bits, "state", bits.state)
    return (
        functools.partial(_set_generator_state, value, value.get_state())
        if isinstance(value, torch.Generator)
        else None
    )


def _set_generator_state(generator: torch.Generator, state: Tensor) -> None:
    generator.set_state(state)


def generators_of(model: nn.Module) -> list[Any]:
    """The generators of random numbers that stand beside the classes of a model, in the files that they come from."""
    files = {kind.__module__ for module in model.modules() for kind in type(module).__mro__}
    own = [vars(sys.modules[name]) for name in files if name in sys.modules and name.partition(".")[0] not in CORE]
    return [each for names in own for each in generators_in(names)]


def generators_in(names: Mapping[str, Any]) -> list[Any]:
    """The generators of random numbers among some names."""
    kinds = (random.Random, np.random.RandomState, np.random.Generator, torch.Generator)
    return [value for value in list(names.values()) if isinstance(value, kinds)]
