"""A state that is handed on without its history: what came before cannot be learned from."""

from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.compat import tree_leaves, tree_map
from rnnvanish.diagnosis.fault import ARRIVING, Symptom, arriving, module_of
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run


def detached(run: Run, total: Series) -> Symptom | None:
    """See whether a loop starts from a state that the same module handed out before, detached."""
    if not run.detached:
        return None
    name = module_of(run)
    return Symptom(
        "detached state",
        name,
        f"{name} goes on with the state that it had returned, but detached: no gradient crosses from one call to the "
        "one before.",
        "Hand the state on as it was returned, without detach(). Where memory is short, detach it every hundred steps or "
        "so, not at every call.",
        ARRIVING,
        0.0,
        arriving,
        attach,
        exact=True,
    )


def attach(module: nn.Module) -> None:
    """Have `module` take a state that it returned before with its history, where it is handed the bare numbers."""
    returned: list[Tensor] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        def with_history(value: object) -> object:
            if not isinstance(value, Tensor) or value.requires_grad:
                return value
            return next((e for e in returned if e.shape == value.shape and torch.equal(e, value)), value)

        x, *rest = args
        return (x, *tree_map(with_history, rest)), {
            key: value if key == "input" else tree_map(with_history, value) for key, value in kwargs.items()
        }

    def after(module: nn.Module, args: tuple[object, ...], output: object) -> None:
        state = output[1] if isinstance(output, tuple) and isinstance(output[1], tuple | Tensor) else output
        returned[:] = [leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor)]

    module.register_forward_pre_hook(before, with_kwargs=True)
    module.register_forward_hook(after)
