"""Autograd's graph, walked back."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from rnnvanish.numerics.real_view import is_number

#: How many nodes are searched for the one that a tensor was computed from.
SEARCH_LIMIT = 2000


def as_leaf(part: Tensor) -> Tensor:
    """The same numbers as a tensor that a graph starts from, where there are graphs at all."""
    part = part.detach()
    if not is_number(part):  # it counts something
        return part
    return part.requires_grad_() if torch.is_grad_enabled() and not torch.is_inference_mode_enabled() else part


def gradient_nodes(tensors: Sequence[Tensor]) -> list[Any]:
    """The nodes of autograd's graph that computed these tensors."""
    return [get_gradient_edge(tensor).node for tensor in tensors if tensor.requires_grad]


def first_ancestor(tensors: Sequence[Tensor], wanted: Sequence[Any], blocked: Sequence[Any] = ()) -> Any:
    """The first of some nodes that is met on the way back from `tensors`, but not behind `blocked`; None where none is."""
    waiting, seen, sought = deque(gradient_nodes(tensors)), set[Any](blocked), set(wanted)
    while waiting and sought and len(seen) < SEARCH_LIMIT + len(blocked):
        node = waiting.popleft()
        if node in sought:
            return node
        if node not in seen:
            seen.add(node)
            waiting.extend(before for before, _ in node.next_functions if before is not None)
    return None
