"""The backward passes of a training: each that reaches a weight of the model is one, however many weights it reaches."""

import weakref
from collections.abc import Callable
from typing import Any

from torch import nn

from rnnvanish.compat import at_end_of_pass, pass_id
from rnnvanish.monitor.hook import Hook
from rnnvanish.observe.restore.borrow import is_measured


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
