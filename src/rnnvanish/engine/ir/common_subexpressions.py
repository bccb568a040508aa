"""Common subexpressions of a traced graph: what is computed twice in the same way is computed once."""

from typing import Any

import torch
from torch import fx


def eliminate_common_subexpressions(graph: fx.Graph) -> None:
    """Let the first of all equal computations stand for the others; random numbers stay apart, each drawn for itself."""
    first: dict[Any, fx.Node] = {}
    for node in list(graph.nodes):
        if node.op != "call_function" or _differs_each_time(node):
            continue
        same = first.setdefault((node.target, _key(node.args), _key(node.kwargs)), node)
        if same is not node:
            node.replace_all_uses_with(same)
            graph.erase_node(node)


def _differs_each_time(node: fx.Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return torch.Tag.nondeterministic_seeded in tags or getattr(node.target, "__name__", "").startswith("empty")


def _key(arg: Any) -> Any:
    """What tells one argument from another: a number by its type too, and 0.0 from -0.0."""
    if isinstance(arg, fx.Node):
        return arg
    if isinstance(arg, list | tuple):
        return tuple(map(_key, arg))
    if isinstance(arg, dict):
        return tuple((name, _key(each)) for name, each in sorted(arg.items()))
    return type(arg), repr(arg)
