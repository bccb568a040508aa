"""watch as a callback of Hugging Face's Trainer; transformers itself is not needed for it."""

import math
from collections.abc import Callable
from typing import Any

from rnnvanish.live import Cells
from rnnvanish.monitor.alert import Alert
from rnnvanish.monitor.history import History
from rnnvanish.monitor.watch import Watch


class RetentionCallback:
    """Watches what `transformers.Trainer` trains, as `watch` does: `Trainer(callbacks=[RetentionCallback()])`.

    What was measured latest is added to each line that the Trainer logs, and so stands in `trainer.state.log_history`:
    `retention/<layer>/half_life` and `retention/<layer>/reach`, in steps. One that is infinite is left out.

    Attributes:
        history: What was measured in the latest training.
        alerts: When gradients came to vanish or explode, or came back.
        problems: What could not be measured, and why.

    Args:
        every: As for `watch`: training backward passes from one measurement to the next.
        cells: As for `watch`.
        on_alert: As for `watch`.
    """

    def __init__(
        self, every: int | None = None, cells: Cells = (), on_alert: Callable[[Alert], object] | None = None
    ) -> None:
        self.every, self.cells, self.on_alert = every, cells, on_alert
        self.history, self.alerts, self.problems = History(""), list[Alert](), list[str]()
        self._watch: Watch | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Begin to watch."""
        self._close()
        self._watch = Watch(model, self.every, self.cells, self.on_alert)
        self.history, self.alerts, self.problems = self._watch.history, self._watch.alerts, self._watch.problems

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Add what is known."""
        known: dict[str, float] = {}
        for each in self.history:
            known[f"retention/{each.layer}/half_life"] = each.half_life
            known[f"retention/{each.layer}/reach"] = each.reach
        known = {name: value for name, value in known.items() if math.isfinite(value)}
        for line in (logs, state.log_history[-1] if state.log_history else None):
            if line is not None:
                line.update(known)

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Leave no trace."""
        self._close()

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("on_"):  # any other event of a Trainer
            return lambda *args, **others: None
        raise AttributeError(f"RetentionCallback has no {name!r}.")

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        self._watch = None
