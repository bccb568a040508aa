"""An alert: the gradient of a layer came to vanish or to explode, or reaches all the way back again."""

from dataclasses import dataclass

from rnnvanish.names import printable


@dataclass(frozen=True)
class Alert:
    """A layer's verdict is another than it was.

    Attributes:
        step: When.
        layer: The layer and direction.
        before: Its verdict until then; "healthy" before the first measurement.
        verdict: Its verdict now: "vanishing", "exploding" or "healthy".
        reach: The largest lag, in steps, at which a thousandth of the gradient is left.
        lags: The largest lag that was measured, in steps.
    """

    step: int
    layer: str
    before: str
    verdict: str
    reach: int
    lags: int

    def __str__(self) -> str:
        said = {
            "vanishing": f"gradients from beyond {self.reach} steps vanished",
            "exploding": f"gradients explode over {self.lags} steps",
            "healthy": f"gradients reach back all {self.lags} steps again",
        }[self.verdict]
        return f"{printable(self.layer)}: {said} at step {self.step}."
