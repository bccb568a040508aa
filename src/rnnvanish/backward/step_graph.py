"""The graph of one replayed step, as autograd recorded it: from the new state of the innermost cell back to its old one.

A linear layer that the cell names is one operation, whatever it is made of (weights with a mask, normalised ones).
"""

from typing import Any

from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from rnnvanish.backward.replay import InnermostCall

#: A value of the graph: the node that gave it, and which of its outputs it is.
Edge = tuple[Any, int]
#: What a value is made of: of weights and constants alone, of the input too, of the old state too.
FIXED, INPUT, STATE = range(3)
#: The operation that takes a value apart into blocks side by side.
SPLIT = "SplitBackward0"


class StepGraph:
    """The graph of a step of a cell that names its layers; a row of every tensor is a step of its own.

    Attributes:
        before: The parts of the old state; None for one without a gradient.
        after: Those of the new state.
        nodes: The operations that the input or the old state goes through, each before those that it reads from.
    """

    def __init__(self, call: InnermostCall) -> None:
        self.before, self.after = ([edge_of(part) for part in parts] for parts in (call.before, call.after))
        self._sums = {edge[0]: name for name, value in call.sums.items() if (edge := edge_of(value))}
        self._reads = {name: edge_of(value) for name, value in call.reads.items()}
        self._made_of = {None: FIXED, edge_of(call.x): INPUT} | dict.fromkeys(filter(None, self.before), STATE)
        self._ends = {edge[0] for edge in self._made_of if edge}
        found: dict[Any, None] = {}
        for part in self.after:
            self._explore(part, found)
        self.nodes = list(reversed(found))

    def made_of(self, edge: Edge | None) -> int:
        """Whether a value is FIXED, or made of the INPUT or the old STATE."""
        return self._made_of[edge]

    def layer(self, node: Any) -> str:
        """The name of the layer that an operation is; "" for another operation."""
        return self._sums.get(node, "")

    def sources(self, node: Any) -> list[Edge | None]:
        """The values that an operation reads, in the order of its derivatives; None for a constant."""
        if node in self._ends:
            return []
        if layer := self.layer(node):
            return [self._reads[layer]]
        return [None if source is None else (source, output) for source, output in node.next_functions]

    def outputs(self, node: Any) -> list[Edge]:
        """The values that an operation gives: the blocks of what is taken apart, else one."""
        count = -(-node._saved_self_sym_sizes[-1] // node._saved_split_size) if node.name() == SPLIT else 1
        return [(node, output) for output in range(count)]

    def _explore(self, edge: Edge | None, found: dict[Any, None]) -> int:
        if edge not in self._made_of and edge is not None:
            self._made_of[edge] = max([self._explore(source, found) for source in self.sources(edge[0])], default=FIXED)
            if self._made_of[edge] > FIXED:
                found.setdefault(edge[0])
        return self._made_of[edge]


def edge_of(value: Tensor) -> Edge | None:
    """The place of a tensor in the graph; None where it has no gradient."""
    if not value.requires_grad:
        return None
    edge = get_gradient_edge(value)
    return edge.node, edge.output_nr
