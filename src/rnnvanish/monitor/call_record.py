"""One call of a module in a training, recorded so that it can run again: what it read, drew and returned."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.monitor.graph_link import GraphLink
from rnnvanish.observe.agreement import tensors_in
from rnnvanish.observe.call import map_tensors
from rnnvanish.observe.model_copy import detached_copy
from rnnvanish.observe.pytree import leaves


@dataclass(frozen=True)
class Conditions:
    """What a run depends on besides its arguments: states of the shared generators, and mixed precision.

    Attributes:
        generators: The states of torch's generator of the CPU, of those of all GPUs, of Python's and of numpy's.
        autocast: Of each kind of device whether operations run in mixed precision, and in which.
    """

    generators: tuple[Any, ...]
    autocast: tuple[tuple[str, bool, torch.dtype], ...]

    @classmethod
    def now(cls) -> "Conditions":
        """Those of this moment."""
        devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        generators = torch.get_rng_state(), devices, random.getstate(), np.random.get_state()  # noqa: NPY002
        kinds = ("cpu", "cuda")
        return cls(generators, tuple((k, torch.is_autocast_enabled(k), torch.get_autocast_dtype(k)) for k in kinds))

    @contextmanager
    def again(self) -> Iterator[None]:
        """Have something run under them."""
        own, devices, python, arrays = self.generators
        torch.set_rng_state(own)
        if devices:
            torch.cuda.set_rng_state_all(devices)
        random.setstate(python)
        np.random.set_state(arrays)  # noqa: NPY002  # the shared one is meant
        with ExitStack() as stack:
            for kind, enabled, dtype in self.autocast:
                if enabled or torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, dtype, enabled))
            yield


@dataclass(eq=False)
class CallRecord:
    """One call.

    The graph of the training owns it: it is written down at the nodes that made what the call returned, and gone with them.
    So it holds nothing of what was returned but numbers.

    Attributes:
        path: The module that was called, by its place in the model.
        arguments: Positional and keyword arguments, copied.
        links: Where, among the arguments, a tensor was computed from what earlier calls returned.
        conditions: What it depended on besides.
        outputs: The numbers that it returned, in the order of `tensors_in`.
        gradients: What came back to each of these in the last backward pass.
    """

    path: str
    arguments: tuple[Any, ...]
    links: dict[str, GraphLink]
    conditions: Conditions
    outputs: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor | None] = field(default_factory=list)

    @classmethod
    def begin(cls, path: str, args: tuple[Any, ...], kwargs: dict[str, Any], key: Any) -> "CallRecord":
        """Record what a call is given; outputs of earlier ones are marked with `key`."""
        links = {
            place: link
            for place, leaf in leaves((args, kwargs)).items()
            if (tensor := tensor_of(leaf)) is not None and (link := GraphLink.of(tensor, key)) is not None
        }
        return cls(path, map_tensors((args, kwargs), detached_copy), links, Conditions.now())

    def end(self, output: Any) -> list[Tensor]:
        """Record what it returned; gives the tensors of it, in the order of `outputs`."""
        found = tensors_in(output)
        self.outputs = list(map(detached_copy, found))
        self.gradients = [None] * len(found)
        return found

    @property
    def is_read(self) -> bool:
        """Whether any gradient came back."""
        return any(gradient is not None for gradient in self.gradients)


def tensor_of(leaf: Any) -> Tensor | None:
    """The tensor of numbers that an argument is, or that is packed in it."""
    if isinstance(leaf, PackedSequence):
        return leaf.data
    return leaf if isinstance(leaf, Tensor) else None
