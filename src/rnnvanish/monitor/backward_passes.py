"""The backward passes of a training: each that reaches a weight of the model is one; and which of them are measured."""

import time
import weakref
from collections.abc import Callable
from typing import Any

from torch import nn

from rnnvanish.compat.backward_pass import at_end_of_pass, pass_id
from rnnvanish.monitor.hook import Hook
from rnnvanish.observe.restore.borrow import is_measured

#: Without a fixed interval: the share of the training's time that measuring may take, and the steps between at least.
SHARE, AT_LEAST = 0.025, 50


class BackwardPasses:
    """Counts backward passes.

    Attributes:
        count: How many there were, that which runs included.

    Args:
        model: Whose weights are looked at.
        on_end: Is called at the end of each.
    """

    def __init__(self, model: nn.Module, on_end: Callable[[], None]) -> None:
        self.count = 0
        self._model, self._on_end, self._id = weakref.ref(model), on_end, -1
        self._hooked: dict[int, tuple[weakref.ref[Any], Any]] = {}
        self.find_weights()

    def find_weights(self) -> None:
        """Look at whatever is trained now: weights may be frozen, thawed or replaced on the way."""
        self._hooked = {key: each for key, each in self._hooked.items() if each[0]() is not None}
        model = self._model()
        for weight in model.parameters() if model is not None else ():
            if weight.requires_grad and weight.is_leaf and id(weight) not in self._hooked:
                self._hooked[id(weight)] = weakref.ref(weight), weight.register_hook(Hook(self.reach))

    def reach(self, gradient: Any = None) -> None:
        """Something was reached by the pass that runs; one that measures the model is none."""
        if is_measured(self._model()):
            return
        now = pass_id()
        if now != self._id:
            self._id = now
            self.count += 1
            at_end_of_pass(self._on_end)

    def close(self) -> None:
        """Leave no hook behind."""
        for _, handle in self._hooked.values():
            handle.remove()
        self._hooked.clear()


class Schedule:
    """Which steps of a training are measured.

    Args:
        every: Steps from one measurement to the next. None: 50, or as many as keep the time that it takes a small share.
    """

    def __init__(self, every: int | None) -> None:
        self.every = every
        self._last: tuple[int, float, float] | None = None  # step and time of the last measurement, and what it took

    @property
    def last(self) -> int | None:
        """The last step that was measured."""
        return None if self._last is None else self._last[0]

    def is_due(self, step: int) -> bool:
        """Whether it is time to measure again."""
        if self._last is None:
            return True
        last, when, took = self._last
        if self.every is not None:
            return step - last >= self.every
        return step - last >= AT_LEAST and (time.perf_counter() - when) * SHARE >= took

    def note(self, step: int, took: float) -> None:
        """Take note of a measurement, and the seconds that it took."""
        self._last = step, time.perf_counter(), took
