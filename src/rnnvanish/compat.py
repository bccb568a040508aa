"""Private names of torch that this package leans on, and what happens with a torch that has them not.

Each is used through a function here. Where torch has it no more, either the compiled engine is left for the plain loop,
with one line in the log that says why (`Missing`), or another way gives the same numbers for more time or memory, and a
line in the log says that. Nobody meets an AttributeError, and no number is wrong.

Three kinds of names stay where they are used: what torch tells those to override who write modules (`_apply`,
`_load_from_state_dict`), the tables of a module that every pickled one holds (`_parameters`, `_buffers`, `_modules`),
and names that `Recurrent` has so that it can be read as a layer of torch is.
"""

import ctypes
import importlib
import importlib.util
import logging
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

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
def _say(name: str, instead: str) -> None:
    logger.warning("torch %s has no %s, which serves to %s: %s", torch.__version__, name, PURPOSES[name], instead)


def _find(name: str) -> Any:
    """What stands under a full name; None where nothing does. Modules that are not there yet are imported."""
    path, _, own = name.rpartition(".")
    try:
        return getattr(importlib.import_module(path), own, None)
    except ImportError:
        return getattr(_find(path), own, None) if "." in path else None


def _required(name: str) -> Callable[..., Any]:
    """The function under a full name; where there is none, one that raises `Missing`."""

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise Missing(name)

    return cast(Callable[..., Any], _find(name) or missing)


# What a call of the engine looks at before a compiled loop runs: without one of these, none does.

_is_tracing = _required("torch.jit.is_tracing")
_interpreter = _required("torch._C._functorch.peek_interpreter_stack")
_dispatch_modes = _required("torch._C._len_torch_dispatch_stack")
_function_modes = _required("torch.overrides._get_current_function_mode_stack")
_has_global_hook = _required("torch.nn.modules.module._has_any_global_hook")
_Device: Any = _find("torch.utils._device.DeviceContext")


def in_jit_trace() -> bool:
    """Whether `torch.jit.trace` writes down what is called."""
    return bool(_is_tracing())


def in_transform() -> bool:
    """Whether a transform of torch.func (vmap, grad) is at work in this thread."""
    return _interpreter() is not None


def in_forward_mode() -> bool:
    """Whether derivatives are carried forward (`torch.autograd.forward_ad.dual_level`)."""
    try:
        return bool(forward_ad._current_level >= 0)
    except AttributeError:
        raise Missing("torch.autograd.forward_ad._current_level") from None


def has_dispatch_mode() -> bool:
    """Whether a dispatch mode of this thread is given every operation."""
    return bool(_dispatch_modes() > 0)


def has_function_mode(device: str) -> bool:
    """Whether a mode of this thread is given every call of torch, but for one that makes `device` the default."""
    for mode in _function_modes():
        if _Device is None:
            raise Missing("torch.utils._device.DeviceContext")
        if not (isinstance(mode, _Device) and mode.device.type == device):
            return True
    return False


def has_hooks(modules: Iterable[nn.Module]) -> bool:
    """Whether any of these modules, or all modules of the process, have hooks."""
    try:
        return bool(_has_global_hook()) or any(
            module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
            for module in modules
        )
    except AttributeError:
        raise Missing("torch.nn.Module._forward_hooks") from None


# What a step is traced by: without one of these there is no compiled loop.

if TYPE_CHECKING:
    from torch.utils._python_dispatch import TorchDispatchMode as _Mode
else:
    _Mode = _find("torch.utils._python_dispatch.TorchDispatchMode")
    if _Mode is None:

        class _Mode:
            def __init__(self) -> None:
                raise Missing("torch.utils._python_dispatch.TorchDispatchMode")


class DispatchMode(_Mode):
    """A context in which `__torch_dispatch__` is given every operation."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to be skipped by torch's compiler would import it


def schema(operation: Any) -> Any:
    """The arguments of an operation, and which of them it writes into."""
    try:
        return operation._schema
    except AttributeError:
        raise Missing("torch._ops.OpOverload._schema") from None


def make_fx(function: Callable[..., Any], **options: Any) -> Callable[..., torch.fx.GraphModule]:
    """Have a function traced into a graph of torch's operations; to import that takes seconds.

    Without a table of decompositions torch 2.14 takes `detach` for the identity: so there is always one.
    """
    options = {"decomposition_table": {}, **options}
    traced = _required("torch.fx.experimental.proxy_tensor.make_fx")(function, **options)
    return cast(Callable[..., torch.fx.GraphModule], traced)


_guard_devices = _find("torch._C._ensureCUDADeviceGuardSet")


def trace_in_another_thread() -> None:
    """Have this thread put in place what torch needs for a trace without a GPU; to be called before another one traces.

    Torch for CUDA does so in the first trace. 2.11 frees it when that thread ends, and uses it on: the process ends, too.
    """
    if _guard_devices is not None and torch.version.cuda is not None and not torch.cuda.is_available():
        _guard_devices()


def decompositions(operations: list[Any]) -> dict[Any, Callable[..., Any]]:
    """How torch expresses operations by others: into its core, and these besides."""
    core, of = (_required(f"torch._decomp.{each}") for each in ("core_aten_decompositions", "get_decompositions"))
    return {**core(), **of(operations)}


@cache
def torch_library() -> ctypes.CDLL:
    """The library in which torch has the BLAS that it was built with."""
    try:
        return ctypes.CDLL(str(Path(torch.__file__).parent / LIBRARY))
    except OSError:
        raise Missing(LIBRARY) from None


# Memory: without these a copy is made at once.

_is_cow, _data_address = _find("torch._C._is_cow_tensor"), _find("torch._C._data_address")
_not_lazy = next(
    (name for name in ("torch._C._is_cow_tensor", "torch._C._data_address") if _find(name) is None),
    None if hasattr(torch.empty(0), "_lazy_clone") else "torch.Tensor._lazy_clone",
)


def lazy_clone(tensor: Tensor) -> Tensor:
    """The same numbers in memory that is copied when either of the two is written into; where torch cannot, at once."""
    if _not_lazy is None:
        return tensor._lazy_clone()
    _say(_not_lazy, "what a layer returns is copied at once.")
    return tensor.clone()


def data_address(tensor: Tensor) -> int:
    """Where the numbers of a tensor lie, to read them: `data_ptr()` is for writing, and has a lazy clone copied."""
    if _not_lazy is None and _is_cow(tensor):
        memory: int = _data_address(tensor)  # of the first number of all that it is a part of
        return memory + int(tensor.storage_offset()) * tensor.element_size()
    return tensor.data_ptr()


_has_cdata = hasattr(torch.empty(0).untyped_storage(), "_cdata")


def storage_id(tensor: Tensor) -> int:
    """A number that tensors have in common that share memory; without torch's own, a lazy clone is copied for it."""
    storage = tensor.untyped_storage()
    return storage._cdata if _has_cdata else storage.data_ptr()


# What a tensor says of itself.

_has_version = hasattr(torch.empty(0), "_version")
_set_version = _find("torch._C._autograd._unsafe_set_version_counter")


def version(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place, 0 of an inference tensor; None where torch does not count it."""
    if not _has_version:
        return None
    return 0 if tensor.is_inference() else tensor._version


def counts_changes() -> bool:
    """Whether torch counts how often a tensor was changed in place: else nothing may be computed from it again."""
    if not _has_version:
        _say("torch.Tensor._version", "checkpoint_every is not heeded, and every step is kept.")
    return _has_version


def set_version(tensor: Tensor, number: int) -> None:
    """Have a tensor count as changed so often; where that is not possible, torch refuses to use graphs that hold it."""
    if _set_version is None:
        _say(
            "torch._C._autograd._unsafe_set_version_counter",
            "graphs from before a measurement may be refused after it.",
        )
    else:
        _set_version((tensor,), (number,))


def tensor_hooks(tensor: Tensor) -> Any:
    """Where a tensor keeps its hooks, or None; where torch has no such place, what a run adds to them stays."""
    if not hasattr(tensor, "_backward_hooks"):
        _say("torch.Tensor._backward_hooks", "hooks that a model puts on its tensors while it is measured stay there.")
    return getattr(tensor, "_backward_hooks", None)


def add_hook(tensor: Tensor, hook: Callable[[Tensor], Tensor]) -> Any:
    """Put a hook on a tensor; None in place of what takes it away where this torch cannot."""
    try:
        return tensor.register_hook(hook)
    except AttributeError:
        return None


# Nested containers: without torch's own, those that Python has.

_tree_leaves, _tree_map = map(_find, ("torch.utils._pytree.tree_leaves", "torch.utils._pytree.tree_map"))


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """What stands in nested containers, in order; `is_leaf` says which are not looked into."""
    if _tree_leaves is not None:
        return cast(list[Any], _tree_leaves(tree, is_leaf=is_leaf))
    _say("torch.utils._pytree.tree_leaves", "only Python's own containers are looked into.")
    inside = None if is_leaf is not None and is_leaf(tree) else _inside(tree)
    return [tree] if inside is None else [leaf for each in inside for leaf in tree_leaves(each, is_leaf)]


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same nested containers around what `function` makes of each leaf."""
    if _tree_map is not None:
        return _tree_map(function, tree)
    _say("torch.utils._pytree.tree_map", "only Python's own containers are looked into.")
    inside = _inside(tree)
    if inside is None:
        return function(tree)
    new = [tree_map(function, each) for each in inside]
    if isinstance(tree, dict):
        return type(tree)(zip(tree, new, strict=True))
    return type(tree)(*new) if hasattr(tree, "_fields") else type(tree)(new)


def _inside(tree: Any) -> list[Any] | None:
    """What a container holds; None of a leaf."""
    if type(tree) in (dict, OrderedDict):
        return list(tree.values())
    named = isinstance(tree, tuple) and hasattr(tree, "_fields")
    return list(tree) if named or type(tree) in (tuple, list, deque) else None


# torch.compile.

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


# Backward passes of a training that is watched: without one of these, none is.

_pass_id = _required("torch._C._current_graph_task_id")
_queue_callback = _required("torch.autograd.Variable._execution_engine.queue_callback")


def pass_id() -> int:
    """A number that is the same as long as one backward pass runs, and never again; -1 where none does."""
    return int(_pass_id())


def at_end_of_pass(function: Callable[[], None]) -> None:
    """Have a function called at the end of the backward pass that runs."""
    _queue_callback(function)


def backward_inputs(node: Any) -> tuple[Any, ...]:
    """Shape and type of each gradient that a node of autograd's graph takes."""
    try:
        return cast(tuple[Any, ...], node._input_metadata)
    except AttributeError:
        raise Missing("torch.autograd.graph.Node._input_metadata") from None


def require_passes() -> None:
    """Make sure that a backward pass can be watched."""
    for name in ("torch._C._current_graph_task_id", "torch.autograd.Variable._execution_engine.queue_callback"):
        if _find(name) is None:
            raise Missing(name)
    backward_inputs(torch.zeros(1, requires_grad=True).view(1).grad_fn)
