"""What makes a measurement impossible, said of the module at fault: what was needed, what came, what to do."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.names import listed
from rnnvanish.numerics.norms import as_real
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe.call import Call, map_tensors
from rnnvanish.observe.cell_loops.call_pattern import CallPattern
from rnnvanish.observe.cell_loops.candidates import explain_no_layer
from rnnvanish.observe.cell_loops.chain import check_chains
from rnnvanish.observe.opaque import check_opaque
from rnnvanish.observe.record import Run
from rnnvanish.observe.restore.borrow import borrow

#: How to find the operation.
FINDS_IT = "probes.first_nan(model, inputs, loss) says which line it is."


class Unmeasurable(ValueError):
    """A model or a loss that gives no number worth having, at whatever precision."""


class NotFinite(Unmeasurable):
    """A nan or an infinity where a number is needed, of finite inputs and weights."""


def check_model(model: nn.Module, call: Call, layers: dict[str, nn.Module], own: dict[str, nn.Module]) -> None:
    """Before the model runs: there is a recurrent layer, and its weights are numbers."""
    foreign = check_opaque(model, alone=not layers and not own)
    if not layers and not own:
        raise ValueError(
            "A recurrent layer is needed (torch.nn.RNN, LSTM, GRU or their Cell classes, or rnnvanish.Recurrent), got a "
            f"{type(model).__name__} made of {listed({type(module).__name__ for module in model.modules()})}."
            f"{foreign or explain_no_layer(model, call)}"
        )
    for name, module in {**layers, **own}.items():
        for parameter, values in module.named_parameters():
            _require_finite(values, f"the parameter {name}.{parameter}")


def checked_forward(forward: Callable[..., Any], name: str, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Run a layer or a step as it is, on at least one sequence of at least one step."""
    x = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
    if x is not None and x.dim() > 1 and 0 in x.shape[:-1]:
        time = 1 if x.dim() == 3 and getattr(module, "batch_first", False) else 0
        time = time if hasattr(module, "batch_first") else -1  # a step reads no time
        what = "sequences of no steps" if time >= 0 and x.shape[time] == 0 else "an empty batch"
        raise ValueError(
            f"{name} was given {what}, an input of shape {tuple(x.shape)}: it needs at least one sequence of at least "
            "one step. Leave empty ones out of the batch."
        )
    return forward(*args, **kwargs)


@contextmanager
def explain_in_place(model: nn.Module) -> Iterator[None]:
    """Say what to do about autograd's complaint of an operation in place."""
    try:
        yield
    except RuntimeError as error:
        if "inplace operation" not in str(error):
            raise
        raise Unmeasurable(
            f"{type(model).__name__} changes a tensor in place that its gradient needs: {error} Write a = a * b instead "
            "of a *= b, and torch.where or torch.stack instead of assignments to a part."
        ) from error


def check_finite(model: nn.Module, call: Call, output: list[Tensor]) -> None:
    """What the model returns are numbers; if not, say where the first that are none come from."""
    if all(map(is_finite, output)):
        return
    for name, parameter in model.named_parameters():
        _require_finite(parameter, f"the parameter {name}")
    for place, value in [*enumerate(call.args), *call.kwargs.items()]:
        map_tensors(value, partial(_require_finite, what=f"the input {place!r}"))
    raise NotFinite(
        f"{type(model).__name__} returns infinities or nan: there is no gradient to follow. Its parameters and inputs "
        f"are finite; look for a division, a logarithm or an overflow in its forward. {FINDS_IT}"
    )


def check_unseen(unseen: dict[str, str], runs: list[Run]) -> None:
    """Say which layers ran by a forward of their own that never came to torch's: an error where nothing else ran."""
    for name, kind in unseen.items():
        said = (
            f"{name} is not measured: the forward of {kind} computes its steps itself, not by torch's layer below it. "
            "Put one step of it into a module of its own, (x, state) -> state, and name that: cells=[...]."
        )
        if not runs:
            raise ValueError(said)
        warnings.warn(said, stacklevel=2)


def check_steps(model: nn.Module, call: Call, patterns: Iterable[CallPattern]) -> None:
    """Complain of a module that was named as a step and is none, or part of another one; say which may be meant."""
    patterns = list(patterns)
    for pattern in patterns:
        if complaint := pattern.complaint:
            own = isinstance(pattern.module, nn.RNNCellBase)
            raise ValueError(complaint if own else f"{complaint}{explain_no_layer(model, call)}")
    check_chains(patterns)


def check_runs(model: nn.Module, runs: list[Run], names: Iterable[str]) -> None:
    """Some loop was run, and no state was changed in place."""
    if not runs:
        raise ValueError(f"{type(model).__name__} has {listed(names)}, but called none of them.")


def require_unaltered(run: Run) -> None:
    """Refuse a loop whose state the model changes between steps: the steps alone are not the way that a change takes."""
    if run.altered:
        raise Unmeasurable(
            f"{run.name}: the model changes its state between steps, by a mask for instance, so what its steps do one after "
            "the other is not what the model does. Put the change into the step, a module of its own, (x, state) -> state, "
            "and name it: cells=[...]."
        )


def describe_difference(model: nn.Module, call: Call) -> str:
    """Why the run that was measured may not be the ordinary one: run that twice."""
    from rnnvanish.observe.agreement import agree, numeric_tensors

    one, other = [list[Tensor](), list[Tensor]()]
    for output in (one, other):
        with borrow(model, None, *call.contents):
            output += [number.clone() for number in numeric_tensors(call(model))]
    said = (
        f"The run of {type(model).__name__} that was measured differs from its ordinary one, so the numbers would not be "
        "the model's. "
    )
    if not agree(one, other):
        return said + (
            "Two ordinary runs differ, too: its forward draws random numbers from a generator that it does not "
            "hold, or remembers earlier calls in a place that is not its own. Have it draw by torch, or switch that off while "
            "measuring."
        )
    return said + (
        "Does a class of its own change the forward of a recurrent layer? Have it hold such a layer instead of being one."
    )


def is_finite(values: Tensor) -> bool:
    """Whether all of them are finite: the least and the largest tell, and nan is both."""
    return not values.numel() or bool(torch.stack(values.detach().aminmax()).isfinite().all())


def _require_finite(values: Tensor, what: str) -> Tensor:
    if is_number(values) and not is_finite(as_real(values)):
        bad = (~values.isfinite()).nonzero()
        first = f", the first at {bad[0].tolist()}" if values.dim() else ""
        raise ValueError(
            f"{what[0].upper()}{what[1:]} is not finite: {len(bad)} of its {values.numel()} numbers are nan or infinite{first}. "
            "There is no gradient to follow: repair that first."
        )
    return values
