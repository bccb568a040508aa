"""Complex numbers as two real ones: a step that computes with them, run by real operations alone.

A step is traced through this, so its derivative, its stages and what is printed know of real numbers only. A real
function of (Re z, Im z) has the gradient (dL/dRe z, dL/dIm z), which is what torch calls the gradient of z.

Outside, a complex tensor of a step is one real row of twice the width, Re beside Im; inside it is a `Pair`. What depends
on parameters alone is computed with complex numbers as it is written, and handed on as real tensors.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from rnnvanish.engine.values import Unsupported

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Pair:
    """A complex tensor, or a number.

    Attributes:
        re: Real part.
        im: Imaginary part; None where it is zero because the number is a real one.
        minus: -im of a matrix: a loop multiplies by matrices as they are and does not negate them.
    """

    re: Any
    im: Any = None
    minus: Any = None

    @property
    def whole_im(self) -> Tensor:
        """The imaginary part as a tensor, also where it is zero."""
        return torch.zeros_like(self.re) if self.im is None else self.im


@dataclass(frozen=True, eq=False)
class Stacked:
    """Re and Im along one more dimension, the last: what `view_as_real` gives and `view_as_complex` takes."""

    parts: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Angle:
    """The angle of a complex tensor, of which only a direction is ever made."""

    of: Pair


def hand_on(once: fx.GraphModule) -> None:
    """Have a graph return real tensors only: of a complex one Re and Im, of a matrix also -Im."""
    graph = once.graph
    (output,) = graph.find_nodes(op="output")
    outs: list[fx.Node] = []
    with graph.inserting_before(output):
        for node in tree_leaves(output.args[0]):
            if not _is_complex(node):
                outs.append(graph.call_function(aten.resolve_neg.default, (node,)))
                continue
            whole = graph.call_function(aten.resolve_conj.default, (node,))
            outs += [graph.call_function(part, (whole,)) for part in (aten.real.default, aten.imag.default)]
            if _is_matrix(node):
                outs.append(graph.call_function(aten.neg.default, (outs[-1],)))
    output.args = (outs,)
    once.recompile()


class Real:
    """Runs a graph that computes with complex numbers by real operations.

    Args:
        graph: The graph; its first placeholders are what `hand_on` has made real, the others are rows.
        onces: How many of its placeholders come from there.
    """

    def __init__(self, graph: fx.Graph, onces: int) -> None:
        self.nodes, self.onces = list(graph.nodes), onces

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Run; complex rows come and go packed."""
        remaining, known = iter(inputs), dict[fx.Node, Any]()
        for index, node in enumerate(self.nodes):
            if node.op == "placeholder":
                known[node] = self._placeholder(node, remaining, index < self.onces)
                continue
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
            if node.op == "output":
                return [out if isinstance(out, Tensor) else _packed(_pair(out)) for out in args[0]]
            if node.op == "get_attr":
                known[node] = _attribute(node)
            elif node.users:
                known[node] = _call(node, args, kwargs)
        raise Unsupported("a step that returns nothing")

    def _placeholder(self, node: fx.Node, remaining: Any, once: bool) -> Any:
        first = next(remaining)
        if not _is_complex(node):
            return first
        if once:
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


def _pair(number: Any) -> Pair:
    """A tensor or a number as a complex one."""
    if isinstance(number, Pair):
        return number
    if isinstance(number, Stacked | Angle):
        raise Unsupported(f"{'angle' if isinstance(number, Angle) else 'view_as_real'} of complex numbers")
    return Pair(number.real, number.imag) if isinstance(number, complex) else Pair(number)


def _call(node: fx.Node, args: Any, kwargs: Any) -> Any:
    """What an operation gives."""
    name = getattr(node.target, "__name__", str(node.target)).partition(".")[0]
    if node.target is operator.getitem:
        return args[0][args[1]]
    among = [arg for arg in tree_leaves((args, kwargs)) if isinstance(arg, Pair | Stacked | Angle | complex)]
    if not among and not _is_complex(node) and name != "stack":
        return cast(Callable[..., Any], node.target)(*args, **kwargs)
    if name in STRUCTURE and any(isinstance(each, Pair) for each in tree_leaves(args[0])):
        result = _by_halves(node.target, args, kwargs)
    elif name in FUNCTIONS:
        result = FUNCTIONS[name](node, *args, **kwargs)
    else:
        raise Unsupported(f"{name} of complex numbers")
    _check(name, node.meta["val"], result)
    return result


def _check(name: str, expected: Any, result: Any) -> None:
    """Refuse what is not in kind, dtype and shape what torch would have given."""
    for tensor, value in zip(tree_leaves(expected), result if isinstance(result, list) else [result], strict=True):
        parts = [value] if isinstance(value, Tensor) else [value.re, value.whole_im] if isinstance(value, Pair) else []
        if parts and isinstance(value, Pair) != tensor.is_complex():
            raise Unsupported(f"{name} of complex numbers that gives real ones")
        if any(part.dtype != tensor.dtype.to_real() for part in parts):
            raise Unsupported(f"a change of dtype, {name} of complex numbers")


def _by_halves(target: Any, args: Any, kwargs: Any) -> Any:
    """What moves or adds numbers does so to the real and to the imaginary parts."""
    first, rest = args[0], args[1:]
    if isinstance(first, Pair):
        re = target(first.re, *rest, **kwargs)
        im = None if first.im is None else target(first.im, *rest, **kwargs)
    else:
        pairs = [_pair(each) for each in first]
        re = target([each.re for each in pairs], *rest, **kwargs)
        im = target([each.whole_im for each in pairs], *rest, **kwargs)
    if isinstance(re, Tensor):
        return Pair(re, im)
    return [Pair(*each) for each in zip(re, [None] * len(re) if im is None else im, strict=True)]


#: Operations that do the same to real and to imaginary parts.
STRUCTURE = {
    "view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "expand", "slice", "select", "split", "split_with_sizes",
    "chunk", "cat", "stack", "t", "transpose", "permute", "clone", "detach", "alias", "lift_fresh_copy", "contiguous",
    "sum", "mean", "slice_scatter", "resolve_conj",
}  # fmt: skip


# Sums and products, in which None is zero


def _plus(left: Any, right: Any) -> Any:
    return right if left is None else left if right is None else left + right


def _minus(left: Any, right: Any) -> Any:
    return left if right is None else -right if left is None else left - right


def _times(left: Any, right: Any) -> Any:
    return None if left is None or right is None else left * right


def _add(node: fx.Node, left: Any, right: Any, alpha: Any = 1) -> Pair:
    a, b = _pair(left), _pair(right) if alpha == 1 else _product(_pair(right), _pair(alpha))
    return _wide(node, Pair(_plus(a.re, b.re), _plus(a.im, b.im)))


def _sub(node: fx.Node, left: Any, right: Any, alpha: Any = 1) -> Pair:
    a, b = _pair(left), _pair(right) if alpha == 1 else _product(_pair(right), _pair(alpha))
    return _wide(node, Pair(a.re - b.re, _minus(a.im, b.im)))


def _mul(node: fx.Node, left: Any, right: Any) -> Pair:
    return _wide(node, _product(_pair(left), _pair(right)))


def _product(a: Pair, b: Pair) -> Pair:
    re = _minus(a.re * b.re, _times(a.im, b.im))
    return Pair(re, _plus(_times(a.re, b.im), _times(a.im, b.re)))


def _wide(node: fx.Node, pair: Pair) -> Pair:
    """Both parts as wide as the result of an operation.

    Of what a real number is added to only the real part grows by itself. And what is computed of a parameter within a
    loop is computed for each sequence, so that its gradient is summed at the very end.
    """
    shape = node.meta["val"].shape
    return Pair(*(part if part is None or part.shape == shape else part.expand(shape) for part in (pair.re, pair.im)))


def _div(node: fx.Node, left: Any, right: Any) -> Pair:
    a, b = _pair(left), _pair(right)
    if b.im is None:
        return _wide(node, Pair(a.re / b.re, None if a.im is None else a.im / b.re))
    size, c, d = _scaled(_wide(node, b))
    inverse = 1 / ((c * c + d * d) * size)
    return _mul(node, a, Pair(c * inverse, -d * inverse))


def _scaled(z: Pair) -> tuple[Any, Tensor, Tensor]:
    """A size, and the real and imaginary part divided by it, whose squares neither vanish nor overflow.

    Whatever comes of it does not depend on the size, so it counts as a constant on the way back.
    """
    re, im = z.re, z.im
    size = torch.maximum(re.abs(), im.abs()).detach()
    size = torch.where((size > 0) & (size < torch.inf), size, 1.0)
    return size, re / size, im / size


def _size(z: Pair) -> tuple[Tensor, Tensor]:
    """|z|, and where it is zero; there its gradient is too, as in torch."""
    size, re, im = _scaled(z)
    square = re * re + im * im
    zero = square == 0
    return torch.where(zero, 0.0, size * torch.where(zero, 1.0, square).sqrt()), zero


def _direction(z: Pair) -> tuple[Pair, Tensor]:
    """z / |z|, zero where z is, and where that is."""
    if z.im is None:
        return Pair(z.re.sign()), z.re == 0
    size, zero = _size(z)
    inverse = torch.where(zero, 0.0, 1 / torch.where(zero, 1.0, size))
    return Pair(z.re * inverse, z.im * inverse), zero


def _mm(node: fx.Node, left: Any, right: Any) -> Pair:
    a, b = _pair(left), _pair(right)
    re = a.re @ b.re
    if a.im is not None and b.im is not None:
        re = re + a.im @ (-b.im if b.minus is None else b.minus)
    ways = [x @ y for x, y in ((a.re, b.im), (a.im, b.re)) if x is not None and y is not None]
    return Pair(re, reduce(_plus, ways, None))


def _addmm(node: fx.Node, rest: Any, left: Any, right: Any) -> Pair:
    return _add(node, _mm(node, left, right), rest)


# Functions


def _exp(node: fx.Node, z: Pair) -> Pair:
    return Pair(z.re.exp()) if z.im is None else _polar(node, z.re.exp(), z.im)


def _polar(node: fx.Node, size: Any, angle: Any) -> Pair:
    if not isinstance(angle, Angle):
        angle = angle.expand(node.meta["val"].shape)
        return Pair(size * angle.cos(), size * angle.sin())
    direction, zero = _direction(angle.of)
    return Pair(size * torch.where(zero, 1.0, direction.re), size * direction.im)


def _tanh(node: fx.Node, z: Pair) -> Pair:
    if z.im is None:
        return Pair(z.re.tanh())
    t, c, s = z.re.tanh(), z.im.cos(), z.im.sin()
    inverse = 1 / (c * c + t * t * s * s)
    return Pair(t * inverse, (1 - t * t) * s * c * inverse)


def _pow(node: fx.Node, z: Pair, exponent: Any) -> Pair:
    if exponent not in (1, 2, 3, 4):
        raise Unsupported(f"power {exponent} of complex numbers")
    return reduce(_product, [z] * int(exponent))


def _where(node: fx.Node, mask: Tensor, left: Any, right: Any) -> Pair:
    a, b = _pair(left), _pair(right)
    im = None if a.im is None and b.im is None else torch.where(mask, _or_zero(a.im), _or_zero(b.im))
    return _wide(node, Pair(torch.where(mask, a.re, b.re), im))


def _or_zero(part: Any) -> Any:
    return 0.0 if part is None else part


def _filled(node: fx.Node, *args: Any, **kwargs: Any) -> Pair:
    name, like = str(node.target), node.meta["val"]
    number = complex(0 if "zeros" in name else 1 if "ones" in name else args[-1])
    dtype = like.dtype.to_real()
    re, im = (torch.full(like.shape, part, dtype=dtype, device=like.device) for part in (number.real, number.imag))
    return Pair(re, im if number.imag else None)


def _stack(node: fx.Node, tensors: Sequence[Any], dim: int = 0) -> Any:
    """Two real tensors that become a complex one stay two."""
    to_complex = all(user.target == aten.view_as_complex.default for user in node.users)
    if to_complex and len(tensors) == 2 and dim in (-1, node.meta["val"].dim() - 1):
        return Stacked((tensors[0], tensors[1]))
    return aten.stack.default(tensors, dim)


def _one(node: fx.Node, stacked: Stacked, dim: int, index: int) -> Tensor:
    return _parts(node, stacked, dim)[index]


def _parts(node: fx.Node, stacked: Any, dim: int = 0) -> list[Tensor]:
    """Re and Im of what is stacked along the dimension that has them."""
    arg = node.args[0]
    assert isinstance(arg, fx.Node)
    if not isinstance(stacked, Stacked) or dim not in (-1, arg.meta["val"].dim() - 1):
        raise Unsupported(f"{node.target} of complex numbers seen as real ones")
    return list(stacked.parts)


def _view_as_complex(node: fx.Node, stacked: Any) -> Pair:
    if not isinstance(stacked, Stacked):
        raise Unsupported("view_as_complex of other than two stacked tensors")
    return Pair(*stacked.parts)


def _conj(node: fx.Node, z: Pair) -> Pair:
    return Pair(z.re, _minus(None, z.im))


#: What gives or takes complex numbers; each is given the node, and its arguments as they are here.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "sub": _sub,
    "rsub": lambda node, left, right, alpha=1: _sub(node, right, left, alpha),
    "mul": _mul,
    "div": _div,
    "neg": lambda node, z: Pair(-z.re, _minus(None, z.im)),
    "reciprocal": lambda node, z: _div(node, 1.0, z),
    "mm": _mm,
    "addmm": _addmm,
    "exp": _exp,
    "tanh": _tanh,
    "pow": _pow,
    "sgn": lambda node, z: _direction(z)[0],
    "abs": lambda node, z: z.re.abs() if z.im is None else _size(z)[0],
    "angle": lambda node, z: Angle(z),
    "polar": _polar,
    "complex": lambda node, re, im: _wide(node, Pair(re, im)),
    "where": _where,
    "view_as_real": lambda node, z: Stacked((z.re, z.whole_im)),
    "view_as_complex": _view_as_complex,
    "select": _one,
    "unbind": _parts,
    "stack": _stack,
    "real": lambda node, z: z.re,
    "imag": lambda node, z: z.whole_im,
    "_neg_view": lambda node, stacked: Stacked((-stacked.parts[0], -stacked.parts[1])),
    "_to_copy": lambda node, z, **kwargs: _pair(z),
    **dict.fromkeys(("_conj", "conj_physical", "_conj_physical"), _conj),
    **dict.fromkeys(
        ("zeros", "zeros_like", "new_zeros", "ones", "ones_like", "new_ones", "full", "full_like", "scalar_tensor"), _filled
    ),
}  # fmt: skip
