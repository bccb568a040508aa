"""Complex arithmetic on pairs of real tensors: the rules for every operation of torch on complex numbers that is known.

A rule is given the traced node, and its arguments as they are here. Those of operations that real numbers have too stand
in the rows of `operations`; `RULES` are the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, fx

from rnnvanish.engine.ir.unsupported import Unsupported

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
class ViewAsReal:
    """Re and Im along one more dimension, the last: what `view_as_real` gives and `view_as_complex` takes."""

    parts: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Angle:
    """The angle of a complex tensor, of which only a direction is ever made."""

    of: Pair


def as_pair(number: Any) -> Pair:
    """A tensor or a number as a complex one."""
    if isinstance(number, Pair):
        return number
    if isinstance(number, ViewAsReal | Angle):
        raise Unsupported(f"{'angle' if isinstance(number, Angle) else 'view_as_real'} of complex numbers")
    return Pair(number.real, number.imag) if isinstance(number, complex) else Pair(number)


# Sums and products, in which None is zero


def _plus(left: Any, right: Any) -> Any:
    return right if left is None else left if right is None else left + right


def _minus(left: Any, right: Any) -> Any:
    return left if right is None else -right if left is None else left - right


def _times(left: Any, right: Any) -> Any:
    return None if left is None or right is None else left * right


def add(node: fx.Node, left: Any, right: Any, alpha: Any = 1) -> Pair:
    """a + alpha b."""
    a, b = as_pair(left), as_pair(right) if alpha == 1 else _product(as_pair(right), as_pair(alpha))
    return _broadcast(node, Pair(_plus(a.re, b.re), _plus(a.im, b.im)))


def sub(node: fx.Node, left: Any, right: Any, alpha: Any = 1) -> Pair:
    """a − alpha b."""
    a, b = as_pair(left), as_pair(right) if alpha == 1 else _product(as_pair(right), as_pair(alpha))
    return _broadcast(node, Pair(a.re - b.re, _minus(a.im, b.im)))


def mul(node: fx.Node, left: Any, right: Any) -> Pair:
    """a b."""
    return _broadcast(node, _product(as_pair(left), as_pair(right)))


def _product(a: Pair, b: Pair) -> Pair:
    re = _minus(a.re * b.re, _times(a.im, b.im))
    return Pair(re, _plus(_times(a.re, b.im), _times(a.im, b.re)))


def _broadcast(node: fx.Node, pair: Pair) -> Pair:
    """Both parts as wide as the result of an operation.

    Of what a real number is added to only the real part grows by itself. And what is computed of a parameter within a
    loop is computed for each sequence, so that its gradient is summed at the very end.
    """
    shape = node.meta["val"].shape
    return Pair(*(part if part is None or part.shape == shape else part.expand(shape) for part in (pair.re, pair.im)))


def neg(node: fx.Node, z: Pair) -> Pair:
    """−z."""
    return Pair(-z.re, _minus(None, z.im))


def reciprocal(node: fx.Node, z: Pair) -> Pair:
    """1 / z."""
    return div(node, 1.0, z)


def div(node: fx.Node, left: Any, right: Any) -> Pair:
    """a / b; the squares within neither vanish nor overflow."""
    a, b = as_pair(left), as_pair(right)
    if b.im is None:
        return _broadcast(node, Pair(a.re / b.re, None if a.im is None else a.im / b.re))
    size, c, d = _scaled(_broadcast(node, b))
    inverse = 1 / ((c * c + d * d) * size)
    return mul(node, a, Pair(c * inverse, -d * inverse))


def _scaled(z: Pair) -> tuple[Any, Tensor, Tensor]:
    """A size, and the real and imaginary part divided by it, whose squares neither vanish nor overflow.

    Whatever comes of it does not depend on the size, so it counts as a constant in the backward pass.
    """
    re, im = z.re, z.im
    size = torch.maximum(re.abs(), im.abs()).detach()
    size = torch.where((size > 0) & (size < torch.inf), size, 1.0)
    return size, re / size, im / size


def _modulus(z: Pair) -> tuple[Tensor, Tensor]:
    """|z|, and where it is zero; there its gradient is too, as in torch."""
    size, re, im = _scaled(z)
    square = re * re + im * im
    zero = square == 0
    return torch.where(zero, 0.0, size * torch.where(zero, 1.0, square).sqrt()), zero


def _direction(z: Pair) -> tuple[Pair, Tensor]:
    """z / |z|, zero where z is, and where that is."""
    if z.im is None:
        return Pair(z.re.sign()), z.re == 0
    size, zero = _modulus(z)
    inverse = torch.where(zero, 0.0, 1 / torch.where(zero, 1.0, size))
    return Pair(z.re * inverse, z.im * inverse), zero


def sgn(node: fx.Node, z: Pair) -> Pair:
    """z / |z|, zero where z is."""
    return _direction(z)[0]


def absolute(node: fx.Node, z: Pair) -> Tensor:
    """|z|, a real number."""
    return z.re.abs() if z.im is None else _modulus(z)[0]


def _mm(node: fx.Node, left: Any, right: Any) -> Pair:
    a, b = as_pair(left), as_pair(right)
    re = a.re @ b.re
    if a.im is not None and b.im is not None:
        re = re + a.im @ (-b.im if b.minus is None else b.minus)
    cross = [x @ y for x, y in ((a.re, b.im), (a.im, b.re)) if x is not None and y is not None]
    return Pair(re, reduce(_plus, cross, None))


def _addmm(node: fx.Node, rest: Any, left: Any, right: Any) -> Pair:
    return add(node, _mm(node, left, right), rest)


# Functions


def exp(node: fx.Node, z: Pair) -> Pair:
    """exp(Re z) (cos Im z + i sin Im z)."""
    return Pair(z.re.exp()) if z.im is None else _polar(node, z.re.exp(), z.im)


def _polar(node: fx.Node, size: Any, angle: Any) -> Pair:
    if not isinstance(angle, Angle):
        angle = angle.expand(node.meta["val"].shape)
        return Pair(size * angle.cos(), size * angle.sin())
    direction, zero = _direction(angle.of)
    return Pair(size * torch.where(zero, 1.0, direction.re), size * direction.im)


def tanh(node: fx.Node, z: Pair) -> Pair:
    """By tanh of the real part, cosine and sine of the imaginary one."""
    if z.im is None:
        return Pair(z.re.tanh())
    t, c, s = z.re.tanh(), z.im.cos(), z.im.sin()
    inverse = 1 / (c * c + t * t * s * s)
    return Pair(t * inverse, (1 - t * t) * s * c * inverse)


def power(node: fx.Node, z: Pair, exponent: Any) -> Pair:
    """Products, of the small whole exponents."""
    if exponent not in (1, 2, 3, 4):
        raise Unsupported(f"power {exponent} of complex numbers")
    return reduce(_product, [z] * int(exponent))


def where(node: fx.Node, mask: Tensor, left: Any, right: Any) -> Pair:
    """Of both parts."""
    a, b = as_pair(left), as_pair(right)
    im = None if a.im is None and b.im is None else torch.where(mask, _or_zero(a.im), _or_zero(b.im))
    return _broadcast(node, Pair(torch.where(mask, a.re, b.re), im))


def _or_zero(part: Any) -> Any:
    return 0.0 if part is None else part


def _full(node: fx.Node, *args: Any, **kwargs: Any) -> Pair:
    name, like = str(node.target), node.meta["val"]
    number = complex(0 if "zeros" in name else 1 if "ones" in name else args[-1])
    dtype = like.dtype.to_real()
    re, im = (torch.full(like.shape, part, dtype=dtype, device=like.device) for part in (number.real, number.imag))
    return Pair(re, im if number.imag else None)


def _stack(node: fx.Node, tensors: Sequence[Any], dim: int = 0) -> Any:
    """Two real tensors that become a complex one stay two."""
    to_complex = all(user.target == aten.view_as_complex.default for user in node.users)
    if to_complex and len(tensors) == 2 and dim in (-1, node.meta["val"].dim() - 1):
        return ViewAsReal((tensors[0], tensors[1]))
    return aten.stack.default(tensors, dim)


def _select(node: fx.Node, viewed: ViewAsReal, dim: int, index: int) -> Tensor:
    return _unbind(node, viewed, dim)[index]


def _unbind(node: fx.Node, viewed: Any, dim: int = 0) -> list[Tensor]:
    """Re and Im of what is viewed along the dimension that has them."""
    arg = node.args[0]
    assert isinstance(arg, fx.Node)
    if not isinstance(viewed, ViewAsReal) or dim not in (-1, arg.meta["val"].dim() - 1):
        raise Unsupported(f"{node.target} of complex numbers seen as real ones")
    return list(viewed.parts)


def _view_as_complex(node: fx.Node, viewed: Any) -> Pair:
    if not isinstance(viewed, ViewAsReal):
        raise Unsupported("view_as_complex of other than two viewed tensors")
    return Pair(*viewed.parts)


def _conj(node: fx.Node, z: Pair) -> Pair:
    return Pair(z.re, _minus(None, z.im))


#: What is no operation on real numbers unit by unit, and so has no row in the table of operations.
RULES: dict[str, Callable[..., Any]] = {
    "rsub": lambda node, left, right, alpha=1: sub(node, right, left, alpha),
    "mm": _mm,
    "addmm": _addmm,
    "angle": lambda node, z: Angle(z),
    "polar": _polar,
    "complex": lambda node, re, im: _broadcast(node, Pair(re, im)),
    "view_as_real": lambda node, z: ViewAsReal((z.re, z.whole_im)),
    "view_as_complex": _view_as_complex,
    "select": _select,
    "unbind": _unbind,
    "stack": _stack,
    "real": lambda node, z: z.re,
    "imag": lambda node, z: z.whole_im,
    "_neg_view": lambda node, viewed: ViewAsReal((-viewed.parts[0], -viewed.parts[1])),
    "_to_copy": lambda node, z, **kwargs: as_pair(z),
    **dict.fromkeys(("_conj", "conj_physical", "_conj_physical"), _conj),
    **dict.fromkeys(
        ("zeros", "zeros_like", "new_zeros", "ones", "ones_like", "new_ones", "full", "full_like", "scalar_tensor"), _full
    ),
}  # fmt: skip
