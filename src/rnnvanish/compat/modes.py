"""What may look at a call of the engine: traces, transforms, modes and hooks; without a name of these no compiled loop runs."""

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.autograd import forward_ad

from rnnvanish.compat.private_names import Missing, find, required

_is_tracing = required("torch.jit.is_tracing")
_interpreter = required("torch._C._functorch.peek_interpreter_stack")
_dispatch_modes = required("torch._C._len_torch_dispatch_stack")
_function_modes = required("torch.overrides._get_current_function_mode_stack")
_has_global_hook = required("torch.nn.modules.module._has_any_global_hook")
_Device: Any = find("torch.utils._device.DeviceContext")


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
