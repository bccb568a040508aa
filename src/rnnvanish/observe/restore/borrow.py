"""Borrowing a user's model, at any precision, and giving it back as it was."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rnnvanish.compat.modules import may_be_compiled, refresh_weights
from rnnvanish.compat.pytree import tree_map
from rnnvanish.live import WRAPPERS
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe.restore.random_state import preserve_random_state
from rnnvanish.observe.restore.snapshot import Snapshot, generators_of
from rnnvanish.recurrent import Recurrent

#: Switches of the whole process that a model or a loss may turn: how each is read, and how it is set.
PROCESS_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    (
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        lambda kept: torch.use_deterministic_algorithms(kept[0], warn_only=kept[1]),
    ),
    *(
        (
            lambda name=name: getattr(torch.backends.cudnn, name),
            lambda kept, name=name: setattr(torch.backends.cudnn, name, kept),
        )
        for name in ("enabled", "benchmark", "deterministic", "allow_tf32")
    ),
)
#: The modules of all that is measured now.
_measured: list[set[int]] = []


def is_measured(model: nn.Module | None) -> bool:
    """Whether `model`, or a part of it, runs to be measured now, so that no training is seen in what it does."""
    return (
        bool(_measured)
        and model is not None
        and any(id(part) in each for each in _measured for part in model.modules())
    )


def snapshot_of(*held: Any) -> Snapshot:
    """What modules, functions and tensors hold now, and the generators beside the modules; to be put back as often as needed."""
    models = [each for each in held if isinstance(each, nn.Module)]
    return Snapshot([*held, *(generator for model in models for generator in generators_of(model))])


@contextmanager
def preserve(*held: Any, snapshot: Snapshot | None = None) -> Iterator[None]:
    """Put back, in the end, whatever modules, functions and tensors hold, and the states of all shared generators.

    Args:
        *held: Modules, functions, tensors.
        snapshot: What these hold, where that is known.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    snapshot = snapshot_of(*held) if snapshot is None else snapshot
    modules = {id(part) for each in held if isinstance(each, nn.Module) for part in each.modules()}
    switches = [(get, set_to, get()) for get, set_to in PROCESS_SETTINGS]

    def put_back() -> None:
        snapshot.restore()
        for get, set_to, kept in switches:
            if get() != kept:
                set_to(kept)

    with preserve_random_state(), torch.random.fork_rng(devices=devices) if devices else nullcontext():
        _measured.append(modules)
        try:
            yield
        finally:
            _measured.remove(modules)
            try:
                put_back()
            except KeyboardInterrupt:  # half of it may be there: once more, and then stop
                put_back()
                raise


@contextmanager
def borrow(
    model: nn.Module, dtype: torch.dtype | None = None, *beside: Any, snapshot: Snapshot | None = None
) -> Iterator[None]:
    """Have `model` to run, without `torch.compile`; it and what stands beside it are given back as they were.

    Args:
        model: Any module.
        dtype: Precision of parameters, buffers and of what a forward makes by itself; None leaves them as they are.
            Numbers at another precision are tensors of the graph that leads to the parameters.
        *beside: What else may be written to: the batch.
        snapshot: What all these hold, where that is known.
    """
    with preserve(model, *beside, snapshot=snapshot), _eager():
        if dtype is not None:
            _convert_tensors(model, dtype)
            torch.set_default_dtype(dtype)
        for module in model.modules():
            if isinstance(module, Recurrent):  # one run is not worth compiling for
                module.engine = "reference"
            if isinstance(module, WRAPPERS):  # on one device, in one process
                vars(module)["forward"] = partial(_call_unwrapped, module.module)
        yield


@contextmanager
def materialise(model: nn.Module, run: Callable[[nn.Module], Any], *beside: Any) -> Iterator[None]:
    """Have lazy parameters drawn as the model's first run draws them, for as long as it is measured."""
    if not any(map(is_lazy, (*model.parameters(), *model.buffers()))):
        yield
        return
    with preserve(model, *beside):
        with preserve_random_state(), torch.enable_grad():  # a forward may differentiate by itself
            run(model)
        yield


def _call_unwrapped(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Call what a wrapper holds, with tensors on its device."""
    device = next((parameter.device for parameter in module.parameters()), None)
    args, kwargs = tree_map(lambda value: value.to(device) if isinstance(value, Tensor) else value, (args, kwargs))
    return module(*args, **kwargs)


def _eager() -> AbstractContextManager[None]:
    """What was compiled runs as it was written: the same numbers, and states that can be seen."""
    if not may_be_compiled():  # nothing is compiled, and importing it takes seconds
        return nullcontext()
    return cast(AbstractContextManager[None], torch.compiler.set_stance("force_eager"))


def to_precision(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """At another precision, where it is a number at all."""
    if dtype is None or not is_number(value):
        return value
    return value.to(dtype.to_complex() if value.is_complex() else dtype)


def _convert_tensors(model: nn.Module, dtype: torch.dtype) -> None:
    made: dict[int, Tensor] = {}  # what is shared stays shared
    for module in model.modules():
        for table in (module._buffers, module._parameters):
            for name, tensor in table.items():
                if tensor is not None:
                    table[name] = made.setdefault(id(tensor), to_precision(tensor, dtype))  # type: ignore[assignment]
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            refresh_weights(module)
