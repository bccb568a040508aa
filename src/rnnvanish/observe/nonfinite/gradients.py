"""The gradients of a run as they come back: at which operation those that reach a weight stop being finite."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from rnnvanish.observe.nonfinite.operations import Operation, is_finite


@dataclass(frozen=True)
class _Passage:
    """What a node of autograd's graph was sent and what it passed on: whether the first was finite, and the second itself."""

    finite: bool
    passed_on: Sequence[Tensor | None]


def first_bad_gradient(
    value: Tensor, weights: Sequence[Tensor], by_node: Mapping[Any, Operation]
) -> tuple[Operation, Tensor] | None:
    """The operation whose derivative makes finite gradients into others that reach a weight, and what it makes; None where none.

    Args:
        value: What is differentiated.
        weights: With respect to what.
        by_node: Of the nodes of its graph the operation that each belongs to.
    """
    passages: dict[Any, _Passage] = {}
    senders: dict[Any, list[tuple[Any, int]]] = {}
    hooks = [node.register_hook(partial(_note, passages, node)) for node in by_node]
    for node in by_node:
        for place, (receiver, _) in enumerate(node.next_functions):
            senders.setdefault(receiver, []).append((node, place))
    found = torch.autograd.grad(value, weights, allow_unused=True)
    for hook in hooks:
        hook.remove()
    for weight, gradient in zip(weights, found, strict=True):
        if gradient is not None and not is_finite(gradient):
            return _walk(get_gradient_edge(weight).node, passages, senders, by_node)
    return None


def _note(
    passages: dict[Any, _Passage], node: Any, after: Sequence[Tensor | None], before: Sequence[Tensor | None]
) -> None:
    passages[node] = _Passage(all(each is None or is_finite(each) for each in before), after)


def _walk(
    node: Any,
    passages: Mapping[Any, _Passage],
    senders: Mapping[Any, Sequence[tuple[Any, int]]],
    by_node: Mapping[Any, Operation],
) -> tuple[Operation, Tensor] | None:
    """Go from a node that received something bad towards the loss, to the first that had received nothing bad."""
    seen = set[Any]()
    while node not in seen:
        seen.add(node)
        for sender, place in senders.get(node, ()):
            passage = passages.get(sender)
            sent = None if passage is None or place >= len(passage.passed_on) else passage.passed_on[place]
            if passage is not None and sent is not None and not is_finite(sent):
                if passage.finite:
                    return by_node[sender], sent
                node = sender
                break
    return None
