"""Where the first state of a loop comes from: nowhere, or from outside of the model."""

from typing import Any

from torch import Tensor, nn

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.live import RECURRENT
from rnnvanish.observe.call import Call
from rnnvanish.observe.record import Run


def starts_from_nothing(run: Run) -> bool:
    """Whether a loop starts from the same state in every sequence: zeros, or a learned one."""
    several = len(run.initial[0]) > 1
    return all(
        bool((part == part[:1]).all()) and (several or part.grad_fn is None or not bool(part.any()))
        for part in run.initial
    )


def comes_from_outside(call: Call, run: Run) -> bool:
    """Whether the model was given the first state of a loop, zeros or not, or something that looks like it."""
    given = [leaf for leaf in tree_leaves((call.args, call.kwargs)) if isinstance(leaf, Tensor)]
    return any(
        leaf.shape[-1:] == part.shape[-1:] and bool((leaf.detach() == part[0].detach()).all())
        for leaf in given
        for part in run.initial
    )


def state_in(module: nn.Module, output: Any) -> Any:
    """The state in what a recurrent module or a step returned."""
    if isinstance(module, RECURRENT):
        return output[1]
    if isinstance(module, nn.RNNCellBase) or not isinstance(output, tuple):
        return output
    return output[-1]


def carry_on(module: nn.Module) -> None:
    """Have every call of a module go on with the state that its last call returned."""
    returned: list[Any] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        if not returned:
            return None
        names = [name for name in ("hx", "state", "h", "hidden") if name in kwargs]
        if names:
            return args, {**kwargs, names[0]: returned[0]}
        return (args[0], returned[0], *args[2:]), kwargs

    def after(module: nn.Module, args: tuple[object, ...], output: object) -> None:
        returned[:] = [state_in(module, output)]

    module.register_forward_pre_hook(before, with_kwargs=True)
    module.register_forward_hook(after)
