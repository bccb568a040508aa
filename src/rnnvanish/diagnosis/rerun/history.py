"""A mode in which nothing leaves its history behind: a detach() does nothing, and rounding passes its gradient on."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: What hands a tensor on without its history, and what has no slope.
DETACHING, ROUNDING = ("detach", "detach_", "data"), ("round", "floor", "ceil", "trunc", "sign")


class KeptHistory(TorchFunctionMode):
    """Keeps the history of whatever is computed while it is on."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = function_name(func)
        if name == "_set_grad_enabled":
            return func(True)
        if name in DETACHING:
            return args[0]
        output = func(*args, **(kwargs or {}))
        if name in ROUNDING and isinstance(output, Tensor):
            return args[0] + (output - args[0]).detach()
        return output


def keep_history(module: nn.Module) -> None:
    """Have a module run in this mode."""
    forward = module.forward

    def kept(*args: Any, **kwargs: Any) -> Any:
        with KeptHistory():
            return forward(*args, **kwargs)

    module.__dict__["forward"] = kept


def function_name(func: Callable[..., Any]) -> str:
    """The name of a function that a mode sees; of an attribute its own: "data"."""
    name: str = getattr(func, "__name__", str(func))
    return getattr(getattr(func, "__self__", None), "__name__", name) if name == "__get__" else name
