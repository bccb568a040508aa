"""What a module of torch keeps to itself: its hooks, its weights, and whether it was compiled or copied."""

import importlib.util
import sys
from typing import Any

from torch import nn

#: Under which name what `torch.compile` returns holds the module that it was given; another is taken for a user's own.
COMPILED = "_orig_mod"
_has_dynamo = importlib.util.find_spec("torch._dynamo") is not None


def may_be_compiled() -> bool:
    """Whether anything may have been compiled by `torch.compile` in this process.

    It has imported its compiler then, which takes seconds, so nobody else does. Where that has another name: yes.
    """
    return not _has_dynamo or "torch._dynamo" in sys.modules


def is_compiled(module: nn.Module) -> bool:
    """Whether calls of a module run what `torch.compile` made of it, or `module.compile()`."""
    return hasattr(module, COMPILED) or getattr(module, "_compiled_call_impl", None) is not None


# Layers of torch.


def weight_names(layer: nn.RNNBase) -> list[str]:
    """The names of a layer's weights, in the order in which its operation takes them."""
    kinds = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if layer.bias else [])]
    kinds += ["weight_hr"] if layer.proj_size else []
    sides = ("", "_reverse") if layer.bidirectional else ("",)
    return [f"{kind}_l{index}{side}" for index in range(layer.num_layers) for side in sides for kind in kinds]


def refresh_weights(layer: nn.RNNBase) -> None:
    """Have a layer run with the weights that its attributes are now: it has a second list of them, where torch has."""
    if "_flat_weights" in vars(layer):
        vars(layer)["_flat_weights"] = [getattr(layer, name, None) for name in weight_names(layer)]


def forget_computed_weights(layer: nn.RNNBase) -> None:
    """Have a layer let go of the weights that it computed for a run, which can't be copied; the next has its own."""
    kept = vars(layer).get("_flat_weights", ())
    vars(layer)["_flat_weights"] = [None if weight is None or not weight.is_leaf else weight for weight in kept]


def is_replica(module: nn.Module) -> bool:
    """Whether `DataParallel` has made a module for one of its devices; without torch's mark, none is."""
    return bool(vars(module).get("_is_replica"))


def forward_pre_hooks(module: nn.Module) -> list[Any]:
    """What a module runs before each forward: there weight norm and spectral norm compute its weights; none without."""
    return list(getattr(module, "_forward_pre_hooks", {}).values())


def drop_hooks(module: nn.Module, hook: Any) -> None:
    """Take a hook off a module's forward, wherever it stands; without torch's tables it stays."""
    for table in (getattr(module, "_forward_pre_hooks", {}), getattr(module, "_forward_hooks", {})):
        for number in [number for number, each in table.items() if each is hook]:
            del table[number]
