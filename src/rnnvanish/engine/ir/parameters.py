"""The weights of a cell, as its step reads them, and copies of a cell to try things with."""

import copy
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

#: Where torch keeps what a constrained weight is computed from.
CONSTRAINTS = "parametrizations"


def parametrized_weights(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The weights that are computed from others (parametrizations) by name: of a cell, `dict(cell.named_modules())`."""
    return {
        _join(prefix, name): getattr(module, name)
        for prefix, module in modules.items()
        if CONSTRAINTS in vars(module)["_modules"] and parametrize.is_parametrized(module)
        for name in vars(module)["_modules"][CONSTRAINTS]
    }


def named_weights(modules: Mapping[str, nn.Module], values: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Parameters and buffers by name, each once; `values`, if any, in place of those that they are computed from.

    They stand in the order of the modules, values behind the other parameters of theirs, as in a `private_copy`.
    """
    found: dict[str, Tensor] = {}
    for kind in ("_parameters", "_buffers"):
        seen = set()
        for prefix, module in modules.items():
            if values and CONSTRAINTS in prefix.split("."):
                continue
            for name, tensor in vars(module)[kind].items():
                if tensor is not None and tensor not in seen:
                    seen.add(tensor)
                    found[_join(prefix, name)] = tensor
            if values and kind == "_parameters":
                found |= {name: value for name, value in values.items() if name.rpartition(".")[0] == prefix}
    return found


def substitute_weights(module: nn.Module, values: Mapping[str, Tensor], prefix: str = "") -> nn.Module:
    """A stand-in for `module` whose constrained weights are these values, for a run; what it writes, `module` has.

    `torch.nn.utils.parametrize.cached` does as much for all modules of the process, in all threads at once.
    """
    children = {
        name: substitute_weights(child, values, _join(prefix, name))
        for name, child in vars(module)["_modules"].items()
        if child is not None and name != CONSTRAINTS
    }
    own = {name.rpartition(".")[2]: value for name, value in values.items() if name.rpartition(".")[0] == prefix}
    changed = {name: child for name, child in children.items() if child is not vars(module)["_modules"][name]}
    if not own and not changed:
        return module
    kind = parametrize.type_before_parametrizations(module)
    twin: nn.Module = object.__new__(type(kind.__name__, (_WriteThrough, kind), {"__module__": kind.__module__}))
    vars(twin).update(vars(module))
    vars(twin)["_modules"] = vars(module)["_modules"] | changed
    vars(twin)["_parameters"] = vars(module)["_parameters"] | own if own else vars(module)["_parameters"]
    vars(twin)["_rnnvanish_original"] = module
    return twin


def with_weights(module: nn.Module, stands_for: Mapping[tuple[nn.Module, str], Tensor]) -> nn.Module:
    """A copy of `module` that shares everything but the weights that other tensors stand for, by layer and name there."""
    own = {name: tensor for (linear, name), tensor in stands_for.items() if linear is module}
    below = {name: with_weights(child, stands_for) for name, child in module.named_children()}
    if not own and all(child is module._modules[name] for name, child in below.items()):
        return module
    twin = copy.copy(module)
    for name in own:
        vars(twin).pop(name, None)  # what is there in the meantime
    vars(twin)["_parameters"] = module._parameters | own
    vars(twin)["_modules"] = module._modules | below
    return twin


class _WriteThrough:
    """What is set on the stand-in is set on the module that it stands for."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        setattr(vars(self)["_rnnvanish_original"], name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        delattr(vars(self)["_rnnvanish_original"], name)


def private_copy(cell: nn.Module, values: Mapping[str, Tensor]) -> Any:
    """A copy of a cell and all that it holds, to run its step and leave no sign of it; `values` are weights of its own there.

    What cannot be copied it has not: its step fails where it reads it.
    """
    modules = dict(cell.named_modules())
    memo: dict[int, Any] = {}
    for tensors in (vars(module)[kind] for module in modules.values() for kind in ("_parameters", "_buffers")):
        memo |= {id(tensor): _clone(tensor) for tensor in tensors.values() if tensor is not None}
    for module in modules.values():
        memo[id(module)] = object.__new__(parametrize.type_before_parametrizations(module))
    for prefix, module in modules.items():
        mine = vars(memo[id(module)])
        for name, value in vars(module).items():
            with suppress(Exception):
                mine[name] = copy.deepcopy(value, memo)
        if any(name.rpartition(".")[0] == prefix for name in values):
            mine["_modules"].pop(CONSTRAINTS, None)
    for name, value in values.items():
        owner, _, own = name.rpartition(".")
        vars(memo[id(modules[owner])])["_parameters"][own] = value.detach().clone().requires_grad_(value.requires_grad)
    return memo[id(cell)]


def _clone(tensor: Tensor) -> Tensor:
    clone = tensor.detach().clone()
    return nn.Parameter(clone, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else clone


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def batch_for(*tensors: Tensor) -> int:
    """A number of sequences to try a step with: a prime, and no size of these is a multiple of it."""
    sizes = {size for tensor in tensors for size in tensor.shape}
    return next(
        number
        for number in range(11, 11 + 20 * (len(sizes) + 2) ** 2)
        if all(number % factor for factor in range(2, number)) and all(size % number for size in sizes if size)
    )
