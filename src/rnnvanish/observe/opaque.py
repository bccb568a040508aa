"""Recurrent layers that cannot be seen into: made of a module by script, trace, export, quantization or FSDP."""

import sys
import warnings
from collections.abc import Iterator

from torch import nn

from rnnvanish.live import plain_name
from rnnvanish.torch_bridge import TORCH_CLASS_NAMES, TORCH_OPERATION_PREFIXES

#: Classes of wrappers that cut weights into pieces.
SHARDED_CLASSES = {"FullyShardedDataParallel", "FSDPModule"}


def check_opaque(model: nn.Module, alone: bool) -> str:
    """Say which layers of `model` cannot be measured; nothing where there are none.

    Args:
        model: What is measured.
        alone: Whether it has no others: then what is said is returned, else it is a warning.

    Raises:
        ValueError: Where the weights are cut into pieces.
    """
    for name, module in model.named_modules():
        if any(base.__name__ in SHARDED_CLASSES for base in type(module).__mro__):
            raise ValueError(
                f"{plain_name(name, model)} is wrapped by FSDP, which cuts its weights into pieces: measure the module "
                "before it is wrapped, or a plain copy with its full state_dict."
            )
    found = [f"{plain_name(name, model)} ({how})" for name, how in _opaque_layers(model)]
    if not found:
        return ""
    said = (
        f"Not to be seen into: {', '.join(found)}. Give the module that it was made of: the Python module before it was "
        "scripted, traced, exported or quantized."
    )
    if not alone:
        warnings.warn(said, stacklevel=2)
    return " " + said


def _opaque_layers(model: nn.Module) -> Iterator[tuple[str, str]]:
    for name, module in model.named_modules():
        kind = type(module)
        if getattr(module, "original_name", None) in TORCH_CLASS_NAMES:
            yield name, "scripted"
        elif kind.__name__ in TORCH_CLASS_NAMES and ".quantized" in kind.__module__:
            yield name, "quantized"
        elif "torch.fx" in sys.modules and any(base.__name__ == "GraphModule" for base in kind.__mro__):
            targets = {str(node.target) for node in module.graph.nodes}
            if any(target.startswith(TORCH_OPERATION_PREFIXES) for target in targets):
                yield name, "a graph of operations"
