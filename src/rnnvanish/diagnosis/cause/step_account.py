"""The account of a step back, from the operations that autograd recorded of it: no cell's equations are written again.

A gradient goes back through the step, operation by operation. What multiplies it is a *gate* where it is another value
of the step, a *slope* where it is the derivative of a sigmoid, tanh or ReLU. Ways from one place to another that are
products alone are one product: (1 − z) n + z h is the same as n + z (h − n).
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnvanish.backward.replay import InnermostCall
from rnnvanish.backward.step_graph import FIXED, SPLIT, STATE, Edge, StepGraph
from rnnvanish.compat import graph_shape
from rnnvanish.diagnosis.cause.account import PARTS, Flow, beside, join

#: Operations of autograd's graph: those that hand a gradient on as it is, those that multiply it, those with a slope.
HANDS_ON = {
    *("AddBackward0", "SubBackward0", "SubBackward1", "RsubBackward0", "RsubBackward1", "NegBackward0"),
    *("CloneBackward0", "ToCopyBackward0", SPLIT),
}
PRODUCTS = {"MulBackward0", "LerpBackward1"}
SLOPES = {"TanhBackward0", "SigmoidBackward0", "ReluBackward0", "LeakyReluBackward0", "PreluKernelBackward0"}


@dataclass(frozen=True, eq=False)
class _Way:
    """A flow, and what products alone have made of its value since."""

    flow: Flow
    value: Tensor

    @property
    def settled(self) -> Flow:
        return self.flow.becomes(self.value, "gates")


#: The ways that have arrived at each value.
_Arrived = defaultdict[Edge, list[_Way]]


@torch.no_grad()
def step_account(gradient: list[Flow], call: InnermostCall) -> Flow | None:
    """Take the gradient of the state after a step back to the state before it, with its account.

    Args:
        gradient: Of each part of the state that the cell gave.
        call: A complete call of a cell.

    Returns:
        The parts of the state before, side by side; None where the step has an operation that is not known here.
    """
    graph, arrived = StepGraph(call), _Arrived(list)
    for edge, flow in zip(graph.after, gradient, strict=True):
        if edge is not None:
            arrived[edge].append(_whole(flow))
    if not all(_go_back(node, graph, call, arrived) for node in graph.nodes):
        return None
    nothing = [Flow(torch.zeros_like(part), dict.fromkeys(PARTS, torch.zeros_like(part[:, 0]))) for part in call.before]
    ends = zip(graph.before, nothing, strict=True)
    return beside(*(_met(arrived[edge]).settled if edge and edge in arrived else zero for edge, zero in ends))


def _go_back(node: Any, graph: StepGraph, call: InnermostCall, arrived: _Arrived) -> bool:
    """Take what has arrived at an operation on to the values that it reads; False where the operation is not known."""
    kind, sources, outputs = node.name(), graph.sources(node), graph.outputs(node)
    ways = [_met(arrived[edge]) if edge in arrived else None for edge in outputs]
    there = [way for way in ways if way is not None]
    if not there:
        return True  # nothing of the old state leads here
    way = there[0] if len(outputs) == 1 else _whole(beside(*(block.settled for block in there)))
    if layer := graph.layer(node):
        part, back = "weights", torch.autograd.grad(call.sums[layer], call.reads[layer], way.value, retain_graph=True)
    elif kind in HANDS_ON and getattr(node, "_saved_alpha", 1) == 1:
        part, back = "", node(*(None if each is None else each.value for each in ways))
    elif kind in PRODUCTS and all(graph.made_of(each) > FIXED for each in sources):
        part, back = "", node(way.value)
    elif kind in SLOPES:
        part, back = "slopes", node(way.value)
    else:
        return False
    for source, value in zip(sources, back if isinstance(back, tuple) else (back,), strict=True):
        if source is not None and graph.made_of(source) == STATE:
            if value.shape != graph_shape(*source):
                return False  # it is spread over many: their gradients would still have to be summed up
            arrived[source].append(_whole(way.settled.becomes(value, part)) if part else _Way(way.flow, value))
    return True


def _whole(flow: Flow) -> _Way:
    return _Way(flow, flow.value)


def _met(ways: list[_Way]) -> _Way:
    """What arrives at one place."""
    products: dict[int, _Way] = {}
    for way in ways:
        same = products.get(id(way.flow))
        products[id(way.flow)] = way if same is None else _Way(way.flow, same.value + way.value)
    met = list(products.values())
    return met[0] if len(met) == 1 else _whole(join(*(way.settled for way in met)))
