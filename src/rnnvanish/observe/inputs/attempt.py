"""Which of several ways to call a model is meant: the one that runs."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.observe.agreement import agree, numeric_tensors
from rnnvanish.observe.inputs.failure import failure
from rnnvanish.observe.inputs.forms import is_sequence, named_parts
from rnnvanish.observe.restore.borrow import borrow

#: How many parts of a batch a message shows.
SHOWN_PARTS = 6


#: A way to call a model, as one would write it, and the call.
Attempt = tuple[str, Callable[[nn.Module], Any]]


def choose(model: nn.Module, rivals: Sequence[Sequence[Attempt]], batch: Any, certain: bool) -> int:
    """Find the call that is meant, by running; `model`, `batch` and all random states are left as they were.

    Args:
        model: What is called.
        rivals: Of each list the first call that runs counts.
        batch: What is given to it.
        certain: Whether the only one there is need not be run.

    Returns:
        Its place among all of them, one list after the other.

    Raises:
        ValueError: Where none runs, or several that give different results: says what was tried.
    """
    if certain and sum(map(len, rivals)) == 1:
        return 0
    failed: list[tuple[str, Exception]] = []
    ran: list[tuple[str, int, list[Tensor]]] = []
    place = 0
    for attempts in rivals:
        for number, (words, call) in enumerate(attempts):
            try:
                ran.append((words, place + number, _result(model, call, batch)))
                break
            except Exception as error:  # noqa: BLE001  # that is what is asked
                failed.append((words, error))
        place += len(attempts)
    if not ran:
        raise ValueError(_none_runs(model, failed, batch)) from failed[0][1]
    if any(not agree(output, ran[0][2]) for _, _, output in ran[1:]):
        ways = " and as ".join(words for words, _, _ in ran)
        raise ValueError(
            f"{type(model).__name__} can be called as {ways}, where batch is {describe(batch)}, and returns something else "
            "each time: give its arguments as a tuple, (x,) or (x, y), or a mapping of its parameters' names."
        )
    return ran[0][1]


def _result(model: nn.Module, call: Callable[[nn.Module], Any], batch: Any, graph: bool = False) -> list[Tensor]:
    with borrow(model, None, batch), warnings.catch_warnings(), torch.set_grad_enabled(graph):
        warnings.simplefilter("ignore")  # of what is not meant
        try:
            return [number.clone() for number in numeric_tensors(call(model))]
        except RuntimeError as error:
            if graph or "grad" not in str(error):
                raise
    return _result(model, call, batch, graph=True)  # it differentiates by itself


def _none_runs(model: nn.Module, failed: list[tuple[str, Exception]], batch: Any) -> str:
    tried = "; ".join(f"{words}{failure(error)}" for words, error in failed)
    return (
        f"{type(model).__name__} could not be called with this batch, {describe(batch)}. Tried was {tried}. "
        "Give what its forward takes: a tuple for several arguments, a mapping of its parameters' names."
    )


def describe(value: Any) -> str:
    """A batch in a few words: what it holds, and the shapes."""
    if isinstance(value, Tensor):
        return f"Tensor{tuple(value.shape)}"
    named, kind = named_parts(value), type(value).__name__
    if named is not None:
        inside = [f"{name}: {describe(each)}" for name, each in named.items()]
    elif is_sequence(value):
        inside = [describe(each) for each in value]
    else:
        return kind
    more = [f"and {len(inside) - SHOWN_PARTS} more"] if len(inside) > SHOWN_PARTS else []
    return f"{kind} of ({', '.join(inside[:SHOWN_PARTS] + more)})"
