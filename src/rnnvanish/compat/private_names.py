"""Private names of torch that this package leans on: what each is for, and who is told that it is there no more."""

import importlib
import logging
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch

logger = logging.getLogger("rnnvanish.compat")

#: The library in which torch has the BLAS that it was built with.
LIBRARY = {"darwin": "lib/libtorch_cpu.dylib", "win32": "lib/torch_cpu.dll"}.get(sys.platform, "lib/libtorch_cpu.so")
#: What each name is for.
PURPOSES = {
    "torch.jit.is_tracing": "see whether torch.jit.trace looks at a call",
    "torch._C._functorch.peek_interpreter_stack": "see whether torch.func (vmap, grad) transforms a call",
    "torch.autograd.forward_ad._current_level": "see whether a call is differentiated in forward mode",
    "torch._C._len_torch_dispatch_stack": "see whether a dispatch mode looks at a call",
    "torch.overrides._get_current_function_mode_stack": "see whether a mode of torch functions looks at a call",
    "torch.utils._device.DeviceContext": "tell a default device from other modes of torch functions",
    "torch.nn.modules.module._has_any_global_hook": "see whether there are hooks for all modules",
    "torch.nn.Module._forward_hooks": "see whether a module has hooks",
    "torch.utils._python_dispatch.TorchDispatchMode": "list the operations of a step",
    "torch._ops.OpOverload._schema": "see which arguments an operation writes into",
    "torch.fx.experimental.proxy_tensor.make_fx": "trace a step",
    "torch.fx.proxy._create_arg_bypass": "draw in a trace",
    "torch._decomp.core_aten_decompositions": "express operations by fewer ones",
    "torch._decomp.get_decompositions": "express operations by fewer ones",
    LIBRARY: "multiply matrices by torch's BLAS",
    "torch.Tensor._lazy_clone": "hand out memory that is copied when it is written into",
    "torch._C._is_cow_tensor": "hand out memory that is copied when it is written into",
    "torch._C._data_address": "hand out memory that is copied when it is written into",
    "torch.UntypedStorage._cdata": "tell one memory from another",
    "torch.Tensor._version": "see that a tensor was changed in place",
    "torch._C._autograd._unsafe_set_version_counter": "undo that a tensor counts as changed",
    "torch.Tensor._backward_hooks": "put back the hooks of a tensor",
    "torch.utils._pytree.tree_leaves": "find tensors in classes that are registered with torch's pytree",
    "torch.utils._pytree.tree_map": "find tensors in classes that are registered with torch's pytree",
    "torch._dynamo": "see whether anything was compiled by torch.compile",
    "torch._C._current_graph_task_id": "tell one backward pass from another",
    "torch.autograd.Variable._execution_engine.queue_callback": "be told when a backward pass has ended",
    "torch.autograd.graph.Node._input_metadata": "carry a gradient back through a part of a graph",
}


class Missing(Exception):
    """A name that torch has not, where nothing else does: the sentence goes on after "there is no"."""

    def __init__(self, name: str) -> None:
        super().__init__(f"way to {PURPOSES[name]} (torch {torch.__version__} has no {name})")
        self.name = name


@cache
def say(name: str, instead: str) -> None:
    """Say once in the log what is done without a name."""
    logger.warning("torch %s has no %s, which serves to %s: %s", torch.__version__, name, PURPOSES[name], instead)


def find(name: str) -> Any:
    """What stands under a full name; None where nothing does. Modules that are not there yet are imported."""
    path, _, own = name.rpartition(".")
    try:
        return getattr(importlib.import_module(path), own, None)
    except ImportError:
        return getattr(find(path), own, None) if "." in path else None


def required(name: str) -> Callable[..., Any]:
    """The function under a full name; where there is none, one that raises `Missing`."""

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise Missing(name)

    return cast(Callable[..., Any], find(name) or missing)
