"""What the way back reads is handed out all the same: whoever writes into it first gets a copy.

So what a layer returns belongs to its user, who may change it in any way (in place, by `.data`, as a numpy array), and
as long as nobody does no number is kept twice. torch calls that copy on write.
"""

from typing import Any

import torch
from torch import Tensor

_C: Any = torch._C
#: Without these a torch has no copy on write that can be read as it is: then the copy is made at once.
_LAZY = hasattr(Tensor, "_lazy_clone") and all(hasattr(_C, name) for name in ("_is_cow_tensor", "_data_address"))


def lent(tensor: Tensor) -> Tensor:
    """The same numbers in memory that is, for all that can be seen, another."""
    return tensor._lazy_clone() if _LAZY else tensor.clone()


def address(tensor: Tensor) -> int:
    """Where the numbers of a tensor lie, to read them: `data_ptr()` is for writing, and would have them copied first."""
    if _LAZY and _C._is_cow_tensor(tensor):
        memory: int = _C._data_address(tensor)  # of the first number of all that it is a part of
        return memory + int(tensor.storage_offset()) * tensor.element_size()
    return tensor.data_ptr()


def in_memory(tensor: Tensor | None) -> bool:
    """Whether a tensor, if it is one, has numbers to read: many gradients at once (`is_grads_batched`) have none."""
    try:
        return tensor is None or tensor.untyped_storage() is not None
    except NotImplementedError:
        return False
