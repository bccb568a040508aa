"""The backward pass that runs, for a training that is watched: without a name of these, none is."""

from collections.abc import Callable
from typing import Any, cast

import torch

from rnnvanish.compat.private_names import Missing, find, required

_FUNCTIONS = "torch._C._current_graph_task_id", "torch.autograd.Variable._execution_engine.queue_callback"
_INPUTS = "torch.autograd.graph.Node._input_metadata"
_pass_id, _queue_callback = map(required, _FUNCTIONS)


def pass_id() -> int:
    """A number that is the same as long as one backward pass runs, and never again; -1 where none does."""
    return int(_pass_id())


def at_end_of_pass(function: Callable[[], None]) -> None:
    """Have a function called at the end of the backward pass that runs."""
    _queue_callback(function)


def backward_inputs(node: Any) -> tuple[Any, ...]:
    """Shape and type of each gradient that a node of autograd's graph takes."""
    try:
        return cast(tuple[Any, ...], node._input_metadata)
    except AttributeError:
        raise Missing(_INPUTS) from None


def require_passes() -> None:
    """Make sure that a backward pass can be watched."""
    for name in _FUNCTIONS:
        if find(name) is None:
            raise Missing(name)
    backward_inputs(torch.zeros(1, requires_grad=True).view(1).grad_fn)
