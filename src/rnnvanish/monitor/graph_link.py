"""What lies in a training's own graph between two calls: a gradient is carried back through it, node by node.

The nodes are called by themselves and not by autograd's engine: nobody's hooks run, no `.grad` is written, and the graph is
left for the backward pass that it belongs to.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from rnnvanish.compat.backward_pass import backward_inputs

#: A value of the graph: the node that gave it, and which of its outputs it is.
Edge = tuple[Any, int]


def mark_output(tensor: Tensor, key: Any, output: Any) -> None:
    """Write down in the graph itself, for as long as it is there, that a tensor is an output of a call."""
    node, place = _edge_of(tensor)
    node.metadata.setdefault(key, {})[place] = output


def keep_alive(tensor: Tensor, key: Any, held: Any) -> None:
    """Have the graph hold something as long as the node is there that made a tensor."""
    if tensor.grad_fn is not None:
        node: Any = tensor.grad_fn
        node.metadata[key, "held"] = held


def leads_past(tensor: Tensor, key: Any, known: Collection[Any], weights: Collection[int]) -> bool:
    """Whether any way leads from a tensor back to weights, and not first to what a call of `known` ones returned.

    Args:
        tensor: What a call reads.
        key: What outputs are marked with: a call and a number.
        known: The calls.
        weights: The weights, by `id`.
    """
    ahead, seen = [_edge_of(tensor)] if tensor.grad_fn is not None else [], set[Edge]()
    while ahead:
        edge = ahead.pop()
        node, place = edge
        call, _ = node.metadata.get(key, {}).get(place, (None, 0))
        if id(getattr(node, "variable", None)) in weights or (call is not None and call not in known):
            return True
        if call is None:
            ahead += [before for before in _before(node) if before not in seen]
            seen.update(_before(node))
    return False


@dataclass(frozen=True, eq=False)
class GraphLink:
    """The way from a tensor that a call reads back to what earlier calls returned.

    Attributes:
        start: The tensor's place in the graph.
        outputs: What was marked there, in some order.
        ends: The places of these.
        nodes: The nodes on the way, each before those that it reads from; none where the tensor is such an output.
    """

    start: Edge
    outputs: tuple[Any, ...]
    ends: dict[Edge, int]
    nodes: tuple[Any, ...]

    @classmethod
    def of(cls, tensor: Tensor, key: Any) -> "GraphLink | None":
        """Look for outputs that were marked with `key`; None where no way leads to any."""
        if tensor.grad_fn is None:
            return None
        start, ends, outputs = _edge_of(tensor), dict[Edge, int](), list[Any]()
        leads: dict[Edge, bool] = {}
        ordered: dict[Any, None] = {}
        stack: list[tuple[Edge, bool]] = [(start, False)]
        while stack:
            edge, explored = stack.pop()
            node, place = edge
            if explored:
                leads[edge] = any(leads.get(before, False) for before in _before(node))
                if leads[edge]:
                    ordered.setdefault(node)
            elif edge not in leads:
                marked = node.metadata.get(key, {}).get(place)
                leads[edge] = marked is not None
                if marked is not None:
                    ends[edge] = len(outputs)
                    outputs.append(marked)
                else:
                    stack.append((edge, True))
                    stack.extend((before, False) for before in _before(node))
        return cls(start, tuple(outputs), ends, tuple(reversed(ordered))) if outputs else None

    @property
    def is_output(self) -> bool:
        """Whether the tensor is one of the outputs itself."""
        return not self.nodes

    def pull_back(self, gradient: Tensor) -> list[Tensor | None]:
        """The gradient by each of the outputs, of the gradient by the tensor; None where none comes.

        It is scaled on the way, so that the precision of this graph holds what a higher one does.
        """
        largest = gradient.abs().amax().double() if gradient.numel() else torch.zeros(())
        scale = torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent)  # a power of two rounds nothing
        scale = scale.where((largest > 0) & largest.isfinite(), 1)
        node, place = self.start
        sent = (gradient / scale).to(backward_inputs(node)[place].dtype)
        found = _in_pass_of_all(lambda: self._pull_back(sent))
        return [None if part is None else part.to(gradient.dtype) * scale for part in found]

    def _pull_back(self, gradient: Tensor) -> list[Tensor | None]:
        first, place = self.start
        arrived: dict[Any, dict[int, Tensor]] = {first: {place: gradient}}
        found: list[Tensor | None] = [None] * len(self.outputs)
        inside = set(self.nodes)
        for node in self.nodes:
            came = arrived.pop(node, {})
            if not came:
                continue
            back = node(*(came.get(index) for index in range(len(backward_inputs(node)))))
            parts = back if isinstance(back, tuple) else (back,)
            for (before, place), part in zip(node.next_functions, parts, strict=True):
                if part is None or before is None:
                    continue
                if (index := self.ends.get((before, place))) is not None:
                    found[index] = _add(found[index], _fitting(part, before, place))
                elif before in inside:
                    mine = arrived.setdefault(before, {})
                    mine[place] = _add(mine.get(place), _fitting(part, before, place))
        return found


def _in_pass_of_all(function: Callable[[], list[Tensor | None]]) -> list[Tensor | None]:
    """Call something in a backward pass of its own, in which every node is wanted.

    A node asks the pass that runs which of its gradients are: of a graph that is not that of the pass, none.
    """
    found: list[Tensor | None] = []
    with torch.enable_grad():
        start = torch.zeros(1, requires_grad=True).view(1)
    start.register_hook(lambda _: found.extend(function()))
    torch.autograd.backward(start, torch.zeros(1))
    return found


def _fitting(part: Tensor, node: Any, place: int) -> Tensor:
    """A gradient in the shape of what it is of: what was broadcast comes back in many copies."""
    return part.sum_to_size(backward_inputs(node)[place].shape)


def _add(one: Tensor | None, other: Tensor) -> Tensor:
    return other if one is None else one + other


def _edge_of(tensor: Tensor) -> Edge:
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def _before(node: Any) -> Sequence[Edge]:
    return [edge for edge in node.next_functions if edge[0] is not None]
