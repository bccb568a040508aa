"""Complex numbers as two real ones: a step that computes with them, run by real operations alone.

A step is traced through this, so its derivative, its stages and the generated code know of real numbers only. A real
function of (Re z, Im z) has the gradient (dL/dRe z, dL/dIm z), which is what torch calls the gradient of z.

Outside, a complex tensor of a step is one real row of twice the width, Re beside Im; inside it is a `Pair`. What depends
on parameters alone is computed with complex numbers as it is written, and returned as real tensors.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.engine.ir.complex_arithmetic import RULES, Angle, Pair, ViewAsReal, as_pair
from rnnvanish.engine.ir.operations import NAMES, OPERATIONS
from rnnvanish.engine.ir.unsupported import Unsupported, operation

aten = torch.ops.aten


def return_real_parts(prologue: fx.GraphModule, count: int) -> None:
    """Have the first results of a graph be real tensors: of a complex one Re and Im, of a matrix also -Im."""
    graph = prologue.graph
    (output,) = graph.find_nodes(op="output")
    outs: list[fx.Node] = []
    with graph.inserting_before(output):
        results = list(tree_leaves(output.args[0]))
        for node in results[:count]:
            if not _is_complex(node):
                outs.append(graph.call_function(aten.resolve_neg.default, (node,)))
                continue
            whole = graph.call_function(aten.resolve_conj.default, (node,))
            outs += [graph.call_function(part, (whole,)) for part in (aten.real.default, aten.imag.default)]
            if _is_matrix(node):
                outs.append(graph.call_function(aten.neg.default, (outs[-1],)))
    output.args = ([*outs, *results[count:]],)
    prologue.recompile()


class RealInterpreter:
    """Runs a graph that computes with complex numbers by real operations.

    Args:
        graph: The graph; its first placeholders are what `return_real_parts` has made real, the others are rows.
        invariants: How many of its placeholders come from there.
    """

    def __init__(self, graph: fx.Graph, invariants: int) -> None:
        self.nodes, self.invariants = list(graph.nodes), invariants

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Run; complex rows come and go packed."""
        remaining, known = iter(inputs), dict[fx.Node, Any]()
        for index, node in enumerate(self.nodes):
            if node.op == "placeholder":
                known[node] = self._placeholder(node, remaining, index < self.invariants)
                continue
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
            if node.op == "output":
                return [out if isinstance(out, Tensor) else _packed(as_pair(out)) for out in args[0]]
            if node.op == "get_attr":
                known[node] = _attribute(node)
            elif node.users:
                known[node] = _call(node, args, kwargs)
        raise Unsupported("a step that returns nothing")

    def _placeholder(self, node: fx.Node, remaining: Any, invariant: bool) -> Any:
        first = next(remaining)
        if not _is_complex(node):
            return first
        if invariant:
            return Pair(first, next(remaining), next(remaining) if _is_matrix(node) else None)
        return Pair(*first.chunk(2, dim=-1))


def is_complex(graph: fx.Graph) -> bool:
    """Whether any node of a graph is."""
    return any(map(_is_complex, graph.nodes))


def _is_complex(node: fx.Node) -> bool:
    return any(isinstance(value, Tensor) and value.is_complex() for value in tree_leaves(node.meta.get("val")))


def _is_matrix(node: fx.Node) -> bool:
    return len(node.meta["val"].shape) == 2


def _packed(pair: Pair) -> Tensor:
    return torch.cat([pair.re, pair.whole_im], dim=-1)


def _attribute(node: fx.Node) -> Any:
    tensor = operator.attrgetter(str(node.target))(node.graph.owning_module)
    if not isinstance(tensor, Tensor) or not tensor.is_complex():
        return tensor
    return Pair(tensor.real.clone(), tensor.imag.clone())


def _call(node: fx.Node, args: Any, kwargs: Any) -> Any:
    """What an operation gives."""
    name = getattr(node.target, "__name__", str(node.target)).partition(".")[0]
    if node.target is operator.getitem:
        return args[0][args[1]]
    among = [arg for arg in tree_leaves((args, kwargs)) if isinstance(arg, Pair | ViewAsReal | Angle | complex)]
    if not among and not _is_complex(node) and name != "stack":
        return cast(Callable[..., Any], node.target)(*args, **kwargs)
    if name in PART_BY_PART and any(isinstance(each, Pair) for each in tree_leaves(args[0])):
        result = _part_by_part(node.target, args, kwargs)
    elif (rule := _rule(name)) is not None:
        result = rule(node, *args, **kwargs)
    else:
        raise Unsupported(operation(node.target) if name.startswith("_") else f"{name} of complex numbers")
    _check(name, node.meta["val"], result)
    return result


def _rule(name: str) -> Callable[..., Any] | None:
    return OPERATIONS[NAMES[name]].complex if name in NAMES else RULES.get(name)


def _check(name: str, expected: Any, result: Any) -> None:
    """Refuse what is not in kind, dtype and shape what torch would have given."""
    for tensor, value in zip(tree_leaves(expected), result if isinstance(result, list) else [result], strict=True):
        parts = [value] if isinstance(value, Tensor) else [value.re, value.whole_im] if isinstance(value, Pair) else []
        if parts and isinstance(value, Pair) != tensor.is_complex():
            raise Unsupported(f"{name} of complex numbers that gives real ones")
        if any(part.dtype != tensor.dtype.to_real() for part in parts):
            raise Unsupported(f"a change of dtype, {name} of complex numbers")


def _part_by_part(target: Any, args: Any, kwargs: Any) -> Any:
    """What moves or adds numbers does so to the real and to the imaginary parts."""
    first, rest = args[0], args[1:]
    if isinstance(first, Pair):
        re = target(first.re, *rest, **kwargs)
        im = None if first.im is None else target(first.im, *rest, **kwargs)
    else:
        pairs = [as_pair(each) for each in first]
        re = target([each.re for each in pairs], *rest, **kwargs)
        im = target([each.whole_im for each in pairs], *rest, **kwargs)
    if isinstance(re, Tensor):
        return Pair(re, im)
    return [Pair(*each) for each in zip(re, [None] * len(re) if im is None else im, strict=True)]


#: Operations that do the same to real and to imaginary parts.
PART_BY_PART = {
    "view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "expand", "slice", "select", "split", "split_with_sizes",
    "chunk", "cat", "stack", "t", "transpose", "permute", "clone", "detach", "alias", "lift_fresh_copy", "contiguous",
    "sum", "mean", "slice_scatter", "resolve_conj",
}  # fmt: skip
