"""The memory of a tensor, how often it was changed, and its hooks: without a name of these there is another way."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnvanish.compat.private_names import find, say

# Without these a copy is made at once.
_is_cow, _data_address = find("torch._C._is_cow_tensor"), find("torch._C._data_address")
_not_lazy = next(
    (name for name in ("torch._C._is_cow_tensor", "torch._C._data_address") if find(name) is None),
    None if hasattr(torch.empty(0), "_lazy_clone") else "torch.Tensor._lazy_clone",
)


def lazy_clone(tensor: Tensor) -> Tensor:
    """The same numbers in memory that is copied when either of the two is written into; where torch cannot, at once."""
    if _not_lazy is None:
        return tensor._lazy_clone()
    say(_not_lazy, "what a layer returns is copied at once.")
    return tensor.clone()


def data_address(tensor: Tensor) -> int:
    """Where the numbers of a tensor lie, to read them: `data_ptr()` is for writing, and has a lazy clone copied."""
    if _not_lazy is None and _is_cow(tensor):
        memory: int = _data_address(tensor)  # of the first number of all that it is a part of
        return memory + int(tensor.storage_offset()) * tensor.element_size()
    return tensor.data_ptr()


_has_cdata = hasattr(torch.empty(0).untyped_storage(), "_cdata")


def storage_id(tensor: Tensor) -> int:
    """A number that tensors have in common that share memory; without torch's own, a lazy clone is copied for it."""
    storage = tensor.untyped_storage()
    return storage._cdata if _has_cdata else storage.data_ptr()


_has_version = hasattr(torch.empty(0), "_version")
_set_version = find("torch._C._autograd._unsafe_set_version_counter")


def version(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place, 0 of an inference tensor; None where torch does not count it."""
    if not _has_version:
        return None
    return 0 if tensor.is_inference() else tensor._version


def counts_changes() -> bool:
    """Whether torch counts how often a tensor was changed in place: else nothing may be computed from it again."""
    if not _has_version:
        say("torch.Tensor._version", "checkpoint_every is not heeded, and every step is kept.")
    return _has_version


def set_version(tensor: Tensor, number: int) -> None:
    """Have a tensor count as changed so often; where that is not possible, torch refuses to use graphs that hold it."""
    if _set_version is None:
        say(
            "torch._C._autograd._unsafe_set_version_counter",
            "graphs from before a measurement may be refused after it.",
        )
    else:
        _set_version((tensor,), (number,))


def tensor_hooks(tensor: Tensor) -> Any:
    """Where a tensor keeps its hooks, or None; where torch has no such place, what a run adds to them stays."""
    if not hasattr(tensor, "_backward_hooks"):
        say("torch.Tensor._backward_hooks", "hooks that a model puts on its tensors while it is measured stay there.")
    return getattr(tensor, "_backward_hooks", None)


def add_hook(tensor: Tensor, hook: Callable[[Tensor], Tensor]) -> Any:
    """Put a hook on a tensor; None in place of what takes it away where this torch cannot."""
    try:
        return tensor.register_hook(hook)
    except AttributeError:
        return None
