"""What was measured of one layer at one step of a training."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from rnnvanish.probes.curve import Curve


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured of one layer and direction at one step of a training.

    Attributes:
        step: When, in the unit of the history.
        layer: Its name, like "encoder.lstm/layer0/forward".
        half_life: Steps back in time in which half of the gradient is lost; infinite where none is.
        reach: The largest lag, in steps, at which a thousandth of the gradient is left.
        verdict: As that of `probes.Curve`.
        gain: What arrives at each lag, (lags,): the gradient there over that at lag 0; nan below resolution.
    """

    step: int
    layer: str
    half_life: float
    reach: int
    verdict: str
    gain: Float[Tensor, " lags"]

    @classmethod
    def of(cls, step: int, layer: str, curve: Curve) -> "Measurement":
        """What a curve says."""
        return cls(step, layer, curve.half_life, curve.reach, curve.verdict, curve.gain.double().clone())
