"""watch: one line beside any training loop, and how far back the gradient of its own loss reaches is measured on the way."""

from collections.abc import Callable

from torch import nn

from rnnvanish.live import Cells, unwrapped
from rnnvanish.monitor.alert import Alert
from rnnvanish.monitor.backward_passes import Schedule
from rnnvanish.monitor.history import History
from rnnvanish.monitor.pass_measurement import PassMeasurement
from rnnvanish.monitor.results import Results
from rnnvanish.names import printable


def watch(
    model: nn.Module,
    every: int | None = None,
    cells: Cells = (),
    on_alert: Callable[[Alert], object] | None = None,
) -> "Watch":
    """Measure how far back the gradient reaches while `model` is trained, in any loop, by this one line before it.

    What is measured is the gradient of the training's own loss on its own batch, from one step of what the model returns, as
    `diagnose` has it: back through the whole model to every state of every recurrent layer and direction. It is measured in
    the backward pass itself. No random number is drawn, no weight and no gradient changed, no graph kept: losses are bit for
    bit those without it. What cannot be measured is said once, as a warning and in `problems`, and the training goes on.

    Args:
        model: What is trained: any module with recurrent layers, or an `nn.ModuleList` of those that make one loss together.
            Its calls may be many in one backward pass, such as one a step of a decoder.
        every: Training backward passes from one measurement to the next; each counts, also where gradients add up over
            several. None: 50, or as many as keep the time it takes under 5 % of the training's.
        cells: Modules that are one step of a loop which the model itself writes, as in `probes.retention`.
        on_alert: Is called with an `Alert` when the gradients of a layer vanish, explode or come back, at the end of that
            backward pass; by default that is said as a warning. What it raises ends the training.

    Returns:
        The watch. Its `history` holds what was measured. Its `close()`, or the end of a `with` around the loop, leaves no
        trace of it. In several processes the first one alone is measured.

    Raises:
        ValueError: For a model without a recurrent layer, or one that is compiled.

    Examples:
        >>> import torch
        >>> model = nn.GRU(2, 8)
        >>> with watch(model, every=2, on_alert=print) as watching:
        ...     for _ in range(4):
        ...         model(torch.ones(10, 3, 2))[0][-1].sum().backward()
        >>> watching.history.steps
        (0, 2)
    """
    return Watch(model, every, cells, on_alert)


class Watch:
    """A model that is watched: see `watch`.

    Attributes:
        history: What was measured.
        alerts: When gradients came to vanish or explode, or came back.
        problems: What could not be measured, and why.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int | None = None,
        cells: Cells = (),
        on_alert: Callable[[Alert], object] | None = None,
    ) -> None:
        if every is not None and every < 1:
            raise ValueError(f"watch needs every >= 1, got {every}.")
        self.name = type(unwrapped(model)).__name__
        self._results = Results(History(self.name), on_alert)
        self.history, self.alerts, self.problems = self._results.history, self._results.alerts, self._results.problems
        self._schedule = Schedule(every)
        self._measurement = PassMeasurement(model, cells, self._pass_ended, self._results.fail)
        self._measurement.begin()

    def close(self) -> None:
        """Leave no trace: no hook on the model, its weights, or a graph that is still there."""
        self._measurement.close()

    def __enter__(self) -> "Watch":  # noqa: PYI034  # what checks annotations in the tests knows no Self
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        passes = self._measurement.count
        return f"<Watch of {printable(self.name)}: {passes} backward passes, {len(self.history.steps)} measured>"

    def _pass_ended(self) -> None:
        step, (curves, took) = self._measurement.count - 1, self._measurement.take()
        if took is not None:
            self._schedule.note(step, took)
        if self._schedule.is_due(step + 1):
            self._measurement.begin()
        else:
            self._measurement.end()
        self._results.add(step, curves)
