"""Which code is nobody's to change: Python's own and that of the packages that cells are written with."""

import sys
import sysconfig
from functools import cache
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodWrapperType,
    WrapperDescriptorType,
)
from typing import Any

#: Packages whose functions a step may call, and whose code is not followed.
PACKAGES = frozenset({"torch", "numpy", "jaxtyping", "beartype", "einops", "opt_einsum"})
#: Modules of Python whose functions compute from their arguments and from nothing else.
PURE = PACKAGES | {
    "abc", "builtins", "cmath", "collections", "contextlib", "copy", "dataclasses", "enum", "fractions", "functools",
    "inspect", "itertools", "math", "numbers", "operator", "rnnvanish", "string", "types", "typing", "weakref",
}  # fmt: skip
#: What of these does more.
IMPURE = (
    "torch.random", "torch.serialization", "torch.distributed", "torch.optim", "torch.utils.tensorboard", "torch.hub",
    "torch.profiler", "torch.autograd.function", "torch.utils.checkpoint", "torch.cuda", "torch.utils.data", "numpy.random",
)  # fmt: skip
#: Functions written in C.
BUILT_IN = (BuiltinFunctionType, MethodDescriptorType, MethodWrapperType, WrapperDescriptorType)


@cache
def is_library(module: str) -> bool:
    """Whether a module is Python's, torch's or of another such package; the engine counts as one, cells do not."""
    root = module.partition(".")[0].lstrip("_") or module
    if root in PACKAGES or f"{module}.".startswith(("rnnvanish.engine.", "rnnvanish.compat.")):
        return True
    if not {root, module.partition(".")[0]} & sys.stdlib_module_names or module == "__main__":
        return False
    file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)  # a user's file may have such a name
    return file is None or (file.startswith(sysconfig.get_path("stdlib")) and "site-packages" not in file)


def is_pure(module: str) -> bool:
    """Whether what a module of a library does is known to depend on its arguments alone."""
    root = module.partition(".")[0].lstrip("_")
    return root in PURE and not any(module == each or module.startswith(f"{each}.") for each in IMPURE)


def is_library_code(code: CodeType, module: Any) -> bool:
    """Whether a function's code, defined in a module of this name, is a library's; checks of annotations have none."""
    if module is None or code.co_filename.startswith(("<frozen ", "<@beartype")):
        return True
    return isinstance(module, str) and is_library(module)


def is_library_function(value: Any) -> bool:
    """Whether a value is a function or a class that is a library's own."""
    if isinstance(value, FunctionType):
        return is_library_code(value.__code__, value.__globals__.get("__name__"))
    if isinstance(value, BUILT_IN):
        owner = getattr(value, "__self__", None)
        return owner is None or isinstance(owner, type | type(sys))
    return isinstance(value, type) and is_library(getattr(value, "__module__", None) or "")
