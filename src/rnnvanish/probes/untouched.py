"""Calling a user's model, at any precision, and leaving it as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put back, in the end, every attribute of every module and the state of the random number generators."""
    tables = ("_parameters", "_buffers", "_modules")
    kept = [(m, dict(m.__dict__), {name: dict(m.__dict__[name]) for name in tables}) for m in model.modules()]
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            for module, attributes, contents in kept:
                module.__dict__.clear()
                module.__dict__.update(attributes)
                for name, content in contents.items():
                    module.__dict__[name].clear()
                    module.__dict__[name].update(content)


def call(model: nn.Module, inputs: Any, dtype: torch.dtype | None = None) -> Any:
    """Call `model` with copies of its buffers (a batch norm counts in them), at another precision if one is given.

    Args:
        model: Any module.
        inputs: What it takes; a tuple for several.
        dtype: Precision of parameters, buffers and inputs in this call alone; None leaves them as they are.
    """
    arguments = inputs if isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence) else (inputs,)
    tensors = {name: buffer.clone() for name, buffer in model.named_buffers()}
    if dtype is None:
        return torch.func.functional_call(model, tensors, arguments)
    tensors |= dict(model.named_parameters())
    tensors = {name: _cast(tensor, dtype) for name, tensor in tensors.items()}
    default = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)  # for the states that a model makes by itself: torch.zeros(...)
        return torch.func.functional_call(model, tensors, tuple(_cast(value, dtype) for value in arguments))
    finally:
        torch.set_default_dtype(default)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, PackedSequence):
        return PackedSequence(_cast(value.data, dtype), *value[1:])
    if isinstance(value, tuple | list):
        return type(value)(_cast(each, dtype) for each in value)
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
