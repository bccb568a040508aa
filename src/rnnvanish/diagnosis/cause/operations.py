"""What each operation of a traced step is to the gradient that goes back through it."""

from typing import Any

import torch
from torch import fx

from rnnvanish.diagnosis.cause.ways import DEPENDS

#: Those that hand a gradient on as it is.
SUMS = frozenset(
    (
        "add",
        "sub",
        "rsub",
        "neg",
        "clone",
        "alias",
        "lift_fresh_copy",
        "_to_copy",
        "_conj",
        "resolve_conj",
        "conj_physical",
    )
)
MATRICES = frozenset(
    ("mm", "bmm", "mv", "dot", "vdot", "addmm", "baddbmm", "addmv", "convolution", "_fft_c2c", "_fft_r2c", "_fft_c2r")
)
RESHAPES = frozenset(("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze"))
#: Those that take numbers from places and put them to others, or add them up.
MOVES = RESHAPES | frozenset(
    (
        *(
            "expand",
            "permute",
            "transpose",
            "t",
            "slice",
            "select",
            "split",
            "split_with_sizes",
            "unsafe_split",
            "unbind",
        ),
        *(
            "cat",
            "stack",
            "sum",
            "mean",
            "cumsum",
            "flip",
            "roll",
            "index_select",
            "gather",
            "index",
            "repeat",
            "diagonal",
        ),
        *("constant_pad_nd", "slice_scatter", "select_scatter", "unfold", "real", "imag", "complex", "view_as_real"),
        "view_as_complex",
    )
)
NORMALISATIONS = frozenset(
    ("native_layer_norm", "native_group_norm", "_fused_rms_norm", "linalg_vector_norm", "var", "std", "var_mean")
)
#: Functions of numbers, beside those that torch calls pointwise.
FUNCTIONS = frozenset(
    (
        *(
            "_softmax",
            "_safe_softmax",
            "_log_softmax",
            "logsumexp",
            "polar",
            "angle",
            "_prelu_kernel",
            "leaky_relu",
            "elu",
        ),
        *("gelu", "softplus", "amax", "max", "cumprod", "prod"),
    )
)
#: Operations in which one number counts for many, as in all pointwise ones.
WIDENING = frozenset(("where", "complex", "polar"))


def name_of(node: fx.Node) -> str:
    """The name of an operation, without that of its overload."""
    return getattr(node.target, "__name__", str(node.target)).partition(".")[0]


def is_product(node: fx.Node, place: Any) -> bool:
    """Whether this argument is multiplied, number by number, by what does not depend on it."""
    name = name_of(node)
    return name == "mul" or (name == "div" and place == 0) or (name == "where" and place != 0)


def hands_on(node: fx.Node) -> bool:
    """Whether numbers stay what they are, whatever their shape."""
    return name_of(node) in SUMS | RESHAPES


def is_pointwise(node: fx.Node) -> bool:
    """Whether it takes numbers one by one."""
    return torch.Tag.pointwise in getattr(node.target, "tags", ()) or name_of(node) in WIDENING


def part_of(node: fx.Node, place: Any, others: list[str], condition: str) -> str:
    """The part of an account that an operation belongs to, for a gradient that goes on to one of its arguments.

    Args:
        node: The operation.
        place: Which argument.
        others: What its other arguments depend on, each one of `DEPENDS`.
        condition: What its first argument depends on.
    """
    name, depends = name_of(node), max(others, key=DEPENDS.index, default="constants")
    if name in SUMS or (name in ("addmm", "baddbmm", "addmv") and place == 0):
        return "" if node.kwargs.get("alpha", 1) in (1, -1) else "constants"
    if name in MATRICES:
        return "gates" if depends == "gates" else "weights"
    if is_product(node, place):
        return condition if name == "where" else depends
    if name in MOVES:
        return "ways"
    if name in NORMALISATIONS:
        return "normalisation"
    return "slopes" if is_pointwise(node) or name in FUNCTIONS else "other"
