"""What a step is traced by: without a name of these there is no compiled loop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import torch

from rnnvanish.compat.private_names import Missing, find, required

if TYPE_CHECKING:
    from torch.utils._python_dispatch import TorchDispatchMode as _Mode
else:
    _Mode = find("torch.utils._python_dispatch.TorchDispatchMode")
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
    traced = required("torch.fx.experimental.proxy_tensor.make_fx")(function, **options)
    return cast(Callable[..., torch.fx.GraphModule], traced)


#: Whether a graph of torch holds generators: 2.11's does not, 2.13's does.
TAKES_GENERATORS = torch.__version__ >= "2.13"  # compared as a version, not as text
_drawing: ContextVar[bool] = ContextVar("drawing", default=False)


@contextmanager
def generators_left_out() -> Iterator[None]:
    """Have torch 2.11, which takes no generator into a graph, draw there from whoever runs it. Later ones take it.

    For traces in this thread alone, that no generator of somebody else's can come into: elsewhere one is refused as ever.
    """
    kinds = None if TAKES_GENERATORS else find("torch.fx.proxy._create_arg_bypass")
    if kinds is not None:
        kinds.setdefault(torch.Generator, _left_out)
    before = _drawing.set(True)
    try:
        yield
    finally:
        _drawing.reset(before)


def _left_out(_: object, generator: torch.Generator) -> None:
    if not _drawing.get():
        raise NotImplementedError(f"argument of type: {type(generator)}")


_guard_devices = find("torch._C._ensureCUDADeviceGuardSet")


def trace_in_another_thread() -> None:
    """Have this thread put in place what torch needs for a trace without a GPU; to be called before another one traces.

    Torch for CUDA does so in the first trace. 2.11 frees it when that thread ends, and uses it on: the process ends, too.
    It passes for a GPU, for which autograd would start a thread when it first runs, and run in no fork of the process: so
    autograd runs before.
    """
    if _guard_devices is not None and torch.version.cuda is not None and not torch.cuda.is_available():
        with torch.inference_mode(False), torch.enable_grad():
            torch.ones((), device="cpu", requires_grad=True).backward()
        _guard_devices()


def decompositions(operations: list[Any]) -> dict[Any, Callable[..., Any]]:
    """How torch expresses operations by others: into its core, and these besides."""
    return {**_core_decompositions(), **required("torch._decomp.get_decompositions")(operations)}


@cache
def _core_decompositions() -> dict[Any, Callable[..., Any]]:
    """Those into torch's core: it goes through all of its operations for them."""
    return dict(required("torch._decomp.core_aten_decompositions")())
