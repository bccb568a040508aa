"""What watching a training gives: the history, alerts, and what could not be measured."""

import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress

from rnnvanish.monitor.alert import Alert
from rnnvanish.monitor.history import History
from rnnvanish.names import printable
from rnnvanish.probes.curve import Curve

#: Packages whose frames lie between a line of a training and what is said of it.
BETWEEN = ("rnnvanish", "torch", "pytorch_lightning", "lightning_utilities", "contextlib")


def warn_of_training(said: str) -> None:
    """Warn as from the line of the training that runs now."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(said, stacklevel=level)


class MeasuredInPart(ValueError):
    """Something is not seen of what was measured; the message says what."""


class Results:
    """What was measured, and what is to be said of it.

    Attributes:
        history: What was measured.
        alerts: When gradients came to vanish or explode, or came back.
        problems: What could not be measured, and why.

    Args:
        history: Where measurements are added.
        on_alert: Is called with each alert; by default that is said as a warning. What it raises ends the training.
        report: Says a problem, and an alert by default.
    """

    def __init__(
        self,
        history: History,
        on_alert: Callable[[Alert], object] | None = None,
        report: Callable[[str], object] = warn_of_training,
    ) -> None:
        self.history, self.alerts, self.problems = history, list[Alert](), list[str]()
        self._on_alert, self._report = on_alert, report
        self._verdicts: dict[str, tuple[str, int]] = {}  # and the reach
        self._said: set[str] = set()

    def add(self, step: int, curves: Mapping[str, Curve]) -> None:
        """Add what was measured at a step; say whose verdict is another than it was: healthy, before the first measurement."""
        measured = {name: curve for name, curve in curves.items() if curve.is_measured}
        for name in curves.keys() - measured.keys():
            self.say(f"{name} is left out of what is measured: it has a single step in a backward pass.")
        self.history.add(step, measured)
        for name, curve in measured.items():
            (before, reach), lags = self._verdicts.get(name, ("healthy", 0)), len(curve.gain) - 1
            if before == "vanishing" and curve.verdict == "healthy" and lags <= reach:
                continue  # a shorter window says nothing of what vanishes beyond it
            self._verdicts[name] = curve.verdict, curve.reach
            if curve.verdict != before:
                alert = Alert(step, name, before, curve.verdict, curve.reach, lags)
                self.alerts.append(alert)
                (self._on_alert or self.warn)(alert)

    def fail(self, error: Exception) -> None:
        """Say that a measurement failed, or sees a part alone."""
        plain = isinstance(error, ValueError | RuntimeError) and str(error)
        said = plain or f"{type(error).__name__}: {error}."
        how = "is measured in part" if isinstance(error, MeasuredInPart) else "is not measured"
        self.say(f"{self.history.model} {how}: {said} The training goes on.")

    def say(self, said: str) -> None:
        """Say what is not measured: once for each kind of reason, since numbers in it may differ."""
        said = printable(" ".join(said.split()))
        kind = "".join(letter for letter in said if not letter.isdigit())
        if kind not in self._said:
            self._said.add(kind)
            self.problems.append(said)
            self.warn(said)

    def warn(self, said: object) -> None:
        """Say something in a way that ends no training."""
        with suppress(Warning):  # where warnings are errors this one is none
            self._report(str(said))
