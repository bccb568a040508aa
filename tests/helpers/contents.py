"""Everything that a module holds, written down leaf by leaf: what two of these tell apart has changed."""

import random
from collections import deque

import numpy as np
import torch
from torch import nn

FLAGS = (
    torch.is_grad_enabled,
    torch.get_default_dtype,
    torch.are_deterministic_algorithms_enabled,
    torch.is_anomaly_enabled,
    torch.get_num_threads,
    lambda: torch.backends.cudnn.enabled,
    lambda: torch.backends.cudnn.benchmark,
    lambda: torch.backends.cudnn.deterministic,
)


def held_by(*roots):
    """Every leaf by its path: identities, bits, storages, versions, orders; and what the process has."""
    found, seen = {}, {}
    for number, root in enumerate(roots):
        _walk(root, str(number), found, seen)
    found["process"] = (torch.get_rng_state().numpy().tobytes(), random.getstate(), repr(np.random.get_state()))  # noqa: NPY002
    found["flags"] = tuple(flag() for flag in FLAGS)
    return found, seen  # what was seen is kept alive, or an id could be another's


def _walk(value, path, found, seen):
    found[path] = (id(value), type(value))
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, torch.Tensor):
        found[path] += (_tensor(value), value.requires_grad, id(value.grad) if value.is_leaf else None)
        if value.is_leaf:
            _walk(value.grad, path + ".grad", found, seen)
    elif isinstance(value, dict):
        found[path] += (tuple(map(repr, value)),)
        for key, each in value.items():
            _walk(each, f"{path}[{key!r}]", found, seen)
    elif isinstance(value, list | tuple | deque):
        found[path] += (len(value),)
        for number, each in enumerate(value):
            _walk(each, f"{path}[{number}]", found, seen)
    elif isinstance(value, set):
        found[path] += (frozenset(map(id, value)),)
    elif isinstance(value, np.ndarray):
        found[path] += (value.tobytes(),)
    elif isinstance(value, random.Random):
        found[path] += (value.getstate(),)
    elif isinstance(value, np.random.Generator):
        found[path] += (repr(value.bit_generator.state),)
    elif isinstance(value, torch.Generator):
        found[path] += (value.get_state().numpy().tobytes(),)
    elif hasattr(value, "__closure__"):
        for number, cell in enumerate(value.__closure__ or ()):
            _walk(cell.cell_contents, f"{path}()[{number}]", found, seen)
    elif isinstance(value, nn.Module):
        _walk(vars(value), path + ".", found, seen)
        own = {key: each for key, each in vars(type(value)).items() if key[:2] != "__" and not callable(each)}
        for key, each in own.items():
            _walk(each, f"{path}.class.{key}", found, seen)
    elif hasattr(value, "__slots__"):
        for key in value.__slots__:
            _walk(getattr(value, key, None), f"{path}.{key}", found, seen)
    elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        _walk(vars(value), path + ".", found, seen)


def _tensor(value):
    if isinstance(value, nn.parameter.UninitializedTensorMixin):
        return ()
    bits = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return value.data_ptr(), value.shape, value.stride(), bits, value._version


def differences(before, after):
    """The paths at which two of them differ."""
    return [path for path in {**before[0], **after[0]} if before[0].get(path) != after[0].get(path)]
