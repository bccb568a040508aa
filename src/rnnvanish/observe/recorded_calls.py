"""What the modules of a model read in a training step, kept so that they can be run on it again, apart from the training."""

import copy
import inspect
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.observe.call import Call, map_tensors
from rnnvanish.observe.restore.stand_ins import stand_ins
from rnnvanish.recurrent import Recurrent
from rnnvanish.torch_bridge import TORCH_LAYERS

#: Layers that are known to leave nothing behind but what they return, and whose batch axes are known.
KNOWN_LAYERS = (*TORCH_LAYERS, Recurrent)
#: Where the sequences of an argument are counted, where that is not the axis of the input.
BATCH_AXES = {"hx": 1, "state": 1, "lengths": 0}


def copy_first_sequences(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], count: int) -> Call:
    """Copies of what a layer reads of its first sequences; of a class that is not torch's or ours, of all of them."""
    if type(module) not in KNOWN_LAYERS:
        return copy_call(args, kwargs)
    _, *named = inspect.signature(type(module).forward).bind(module, *args, **kwargs).arguments.items()
    arguments, x = dict(named), named[0][1]
    if isinstance(x, PackedSequence) or x.dim() < 3:
        return copy_call((), arguments)
    first = 0 if getattr(module, "batch_first", False) else 1

    def cut(value: Any, axis: int) -> Any:
        if isinstance(value, list):
            return value[:count]
        return map_tensors(value, lambda part: detached_copy(part.narrow(axis, 0, min(count, part.shape[axis]))))

    return Call((), {name: cut(value, BATCH_AXES.get(name, first)) for name, value in arguments.items()}, None)


def copy_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Copies of all that a module reads."""
    return Call(args, kwargs, None).map(detached_copy)


def detached_copy(value: Tensor) -> Tensor:
    """A copy that holds on to no graph, and that the rest of the training step cannot change."""
    return value.detach().clone()


def to_precision_of(weights: Iterable[Tensor]) -> Callable[[Tensor], Tensor]:
    """Undo mixed precision: a measurement runs in the precision of the weights."""
    dtype = next((weight.dtype for weight in weights if weight.is_floating_point()), None)
    return lambda value: value.to(dtype) if value.is_floating_point() else value


def modules_holding(model: nn.Module, inner: Iterable[nn.Module]) -> dict[str, nn.Module]:
    """The modules that hold one of these, by name: the outer before the inner."""
    wanted = set(map(id, inner))
    return {
        name: module
        for name, module in model.named_modules()
        if id(module) not in wanted and not wanted.isdisjoint(map(id, module.modules()))
    }


def copy_model(model: nn.Module) -> nn.Module:
    """A copy to run: what its forward counts, consumes, remembers or logs is the copy's own.

    Data sets and whatever else brings data are shared. A tensor of somebody's graph becomes a number. Of what cannot be
    copied, such as a lock, a log or a generator, it has a stand-in: see `restore.stand_ins`.

    Raises:
        ValueError: Where something in it cannot be copied.
    """
    try:
        other = copy.deepcopy(model, stand_ins(model))
    except Exception:  # noqa: BLE001  # something in it says too late that it cannot be copied
        other = _copy_carefully(model)
    for ours, theirs in zip(other.modules(), model.modules(), strict=True):
        if any(kind.__name__ == "LightningModule" for kind in type(theirs).__mro__):
            with suppress(RuntimeError):  # it has none
                ours.trainer = theirs.trainer  # which is not copied
            vars(ours).update(log=_silent, log_dict=_silent)  # what is logged twice is averaged
    return other


def _copy_carefully(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model, stand_ins(model, careful=True))
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} can only be measured in a copy, so that a second run uses nothing up, and cannot be "
            f"copied: {type(error).__name__}: {error}. Let it hold what cannot be copied outside of its attributes."
        ) from error


def _silent(*args: Any, **kwargs: Any) -> None:
    """Log nothing."""


def hook_forward(module: nn.Module, record: Callable[..., None]) -> Callable[[], Any]:
    """Have `record` called before every call of `module.forward`, also one that goes past its hooks; returns what ends that."""
    own, forward = vars(module), module.forward

    def hooked(*args: Any, **kwargs: Any) -> Any:
        record(module, args, kwargs)
        return forward(*args, **kwargs)

    end = partial(own.update, forward=own["forward"]) if "forward" in own else partial(own.pop, "forward", None)
    own["forward"] = hooked
    return end
