"""Borrowing a user's model, at any precision, and giving it back as it was."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from rnnvanish.probes.draws import kept_draws
from rnnvanish.recurrent import Recurrent

TABLES = ("_parameters", "_buffers", "_modules")


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put back, in the end, every attribute of every module and the states of torch's, Python's and numpy's generators."""
    kept = [(m, dict(m.__dict__), {name: dict(m.__dict__[name]) for name in TABLES}) for m in model.modules()]
    own = [_contents(value) for _, attributes, _ in kept for key, value in attributes.items() if key not in TABLES]
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    with kept_draws(), torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            for module, attributes, contents in kept:
                module.__dict__.clear()
                module.__dict__.update(attributes)
                for name, content in contents.items():
                    module.__dict__[name].clear()
                    module.__dict__[name].update(content)
            for put_back in filter(None, own):
                put_back()


@contextmanager
def borrowed(model: nn.Module, dtype: torch.dtype | None = None) -> Iterator[None]:
    """Have `model` to run: with copies of its buffers (a batch norm counts in them), and without `torch.compile`.

    Args:
        model: Any module.
        dtype: Precision of parameters, buffers and of what a forward makes by itself; None leaves them as they are.
            Numbers at another precision are tensors of the graph that leads to the parameters.
    """
    default = torch.get_default_dtype()
    with unchanged(model), _eager():
        _swap(model, dtype)
        for module in model.modules():
            if isinstance(module, Recurrent):  # one run is not worth compiling for
                module.engine = "reference"
        try:
            torch.set_default_dtype(dtype or default)
            yield
        finally:
            torch.set_default_dtype(default)


def _eager() -> AbstractContextManager[None]:
    """What was compiled runs as it was written: the same numbers, and states that can be seen."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and importing it takes seconds
        return nullcontext()
    return cast(AbstractContextManager[None], torch.compiler.set_stance("force_eager"))


def cast_to(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """At another precision, where it is a number at all."""
    if dtype is None or not (value.is_floating_point() or value.is_complex()):
        return value
    return value.to(dtype.to_complex() if value.is_complex() else dtype)


def _swap(model: nn.Module, dtype: torch.dtype | None) -> None:
    made: dict[int, Tensor] = {}  # what is shared stays shared
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = made.setdefault(id(buffer), cast_to(buffer.clone(), dtype))
        for name, parameter in module._parameters.items() if dtype is not None else ():
            if parameter is not None:
                other = made.setdefault(id(parameter), cast_to(parameter, dtype))
                module._parameters[name] = cast(nn.Parameter, other)
    for module in model.modules():
        if dtype is not None and isinstance(module, nn.RNNBase):  # it keeps a second list of its weights
            module.__dict__["_flat_weights"] = [getattr(module, name, None) for name in module._flat_weights_names]


def _contents(value: Any) -> Callable[[], None] | None:
    """What puts back the contents of a list, dictionary, set or tensor that a forward writes to; None for all else."""
    holds = isinstance(value, list | tuple | dict) and value  # most of a module's tables are empty
    tensors = [
        (leaf, leaf._version, leaf.detach().clone())
        for leaf in (tree_leaves(value) if holds or isinstance(value, Tensor) else [])
        if isinstance(leaf, Tensor) and not isinstance(leaf, nn.Parameter) and not leaf.is_inference()
    ]
    copy = value.copy() if type(value) in (list, dict, set) else None
    return partial(_put_back, value, tensors, copy) if tensors or copy is not None else None


@torch.no_grad()
def _put_back(value: Any, tensors: list[tuple[Tensor, int, Tensor]], copy: Any) -> None:
    for tensor, version, before in tensors:
        if tensor._version != version:
            tensor.copy_(before)
    if copy is not None:
        value.clear()
        (value.extend if isinstance(value, list) else value.update)(copy)
