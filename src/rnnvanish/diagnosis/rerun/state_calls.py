"""The calls of a model's recurrent layers in a run, with the states that they were given and that they returned."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.diagnosis.rerun.start_state import state_in
from rnnvanish.live import Cells, recurrent_modules, step_modules


@dataclass(frozen=True, eq=False)
class StateCall:
    """One call of a recurrent layer or of a step.

    Attributes:
        x: Its input.
        given: The tensors that it was given beside that.
        returned: The parts of the state that it returned.
    """

    x: Any
    given: list[Tensor]
    returned: list[Tensor]


def record_states(model: nn.Module, cells: Cells, run: Callable[[], object]) -> dict[str, list[StateCall]]:
    """The calls of every recurrent layer while something runs, by its name; hooks are left to whoever puts `model` back."""
    found: dict[str, list[StateCall]] = {}
    for name, module in {**recurrent_modules(model), **step_modules(model, cells)}.items():
        module.register_forward_hook(_recorder(found.setdefault(name, [])), with_kwargs=True)
    with torch.no_grad():
        run()
    return {name: list(calls) for name, calls in found.items()}


def goes_on(before: StateCall, now: StateCall) -> bool:
    """Whether a call was given the state that another returned, of one sequence at least, and no zeros."""
    return any(
        one.shape == other.shape and bool(((one == other).all(-1) & (one != 0).any(-1)).any())
        for one in now.given
        for other in before.returned
        if one.dim()
    )


def _recorder(calls: list[StateCall]) -> Callable[..., None]:
    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        values = [*args, *kwargs.values()]
        given = [leaf.detach().clone() for leaf in tree_leaves(values[1:]) if _is_number(leaf)]
        returned = [leaf.detach().clone() for leaf in tree_leaves(state_in(module, output)) if _is_number(leaf)]
        calls.append(StateCall(values[0], given, returned))

    return record


def _is_number(leaf: object) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point()
