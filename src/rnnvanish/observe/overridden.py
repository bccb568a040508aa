"""Torch's layer below a class of the user's: a forward of its own runs as it is, and leads to torch's operation.

A subclass of `torch.nn.LSTM` may pack, take other arguments, drop weights or return something else. What its forward
computes by torch's recurrent operation, whether by `super().forward`, `nn.LSTM.forward(self, ...)` or directly, is
replaced by an unrolled loop.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from rnnvanish.compat.modules import weight_names
from rnnvanish.live import has_own_forward
from rnnvanish.observe import unroll
from rnnvanish.observe.record import Recorder
from rnnvanish.torch_bridge import TORCH_OPERATIONS


class RecurrentOperationMode(TorchFunctionMode):
    """Replaces torch's recurrent operations while a layer with a forward of its own runs."""

    def __init__(self, recorder: Recorder, segment: int | None, run_compiled: unroll.RunCompiled) -> None:
        super().__init__()
        self.recorder, self.segment, self.run_compiled = recorder, segment, run_compiled
        self.unseen: dict[str, str] = {}  # what ran without leading to torch's operation, and its class
        self._running: list[tuple[nn.RNNBase, str]] = []
        self._packed: list[unroll.LayerCall] | None = None
        self._seen: set[str] = set()

    def wrap(self, module: nn.RNNBase, name: str) -> Callable[..., Any]:
        """The forward of `module`, whose operations are replaced."""
        own = vars(module)
        own["permute_hidden"] = partial(self._permute, module.permute_hidden)
        return partial(self._run, module, name, module.forward)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in TORCH_OPERATIONS or not self._running:
            return func(*args, **(kwargs or {}))
        module, name = self._running[-1]
        self._seen.add(name)
        x, second, third, *_ = args
        packed = isinstance(third, Tensor | tuple | list) and isinstance(second, Tensor) and second.dim() == 1
        hx, weights = (third, args[3]) if packed else (second, third)
        named = dict(zip(weight_names(module), weights, strict=True))
        given = PackedSequence(x, second) if packed else x
        output, final = unroll.unrolled_forward(
            module, name, self.recorder, self.segment, self.run_compiled, given, hx, weights=named
        )
        if packed:
            self._packed = self._last(module) if self.recorder.recording else None
            output = cast(PackedSequence, output).data
        return (output, *final) if isinstance(final, tuple) else (output, final)

    def _run(self, module: nn.RNNBase, name: str, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._running.append((module, name))
        try:
            return forward(*args, **kwargs)
        finally:
            self._running.pop()
            if name not in self._seen:
                self.unseen[name] = type(module).__name__

    def _permute(self, original: Callable[..., Any], hidden: Any, permutation: Tensor | None) -> Any:
        """As torch brings the final states back into the caller's order: so the order of the sequences is known."""
        if self._packed is not None and permutation is not None:
            order = permutation.argsort()
            self._packed[:] = [replace(layer, order=order) for layer in self._packed]
        self._packed = None
        return original(hidden, permutation)

    def _last(self, module: nn.Module) -> list[unroll.LayerCall]:
        calls: list[unroll.LayerCall] = next(
            loop for loop in reversed(self.recorder.loops) if loop.module is module
        ).calls[-1]
        return calls


def operation_mode(
    layers: dict[str, nn.Module], recorder: Recorder, segment: int | None, run_compiled: unroll.RunCompiled
) -> RecurrentOperationMode | None:
    """What replaces the operations below forwards that are the user's own; None where there are none."""
    own = any(isinstance(module, nn.RNNBase) and has_own_forward(module) for module in layers.values())
    return RecurrentOperationMode(recorder, segment, run_compiled) if own else None


def activated(mode: RecurrentOperationMode | None) -> AbstractContextManager[Any]:
    """The mode as a context; None does nothing."""
    return nullcontext() if mode is None else mode
