"""Section 5: factors compound; and what makes a factor small is slope times weights, not the range of the output."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish import cells
from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.small import seeded
from rnnvanish.probes import Curve, retention
from rnnvanish.recurrent import Recurrent

STEPS, BATCH, HIDDEN = 50, 4, 64
LINEAR = "linear"


def network(kind: str, gain: float, seed: int = 0) -> Recurrent:
    """Build a network whose recurrent weights turn the state and stretch it `gain` times: gain times an orthogonal matrix.

    Args:
        kind: "linear", "tanh" or "sigmoid".
        gain: How much the weights stretch every direction alike.
        seed: Of the weights.
    """
    with seeded(seed):
        layer = Recurrent(cells.Elman, 1, HIDDEN, nonlinearity="prelu" if kind == LINEAR else kind).double()
        cell = layer.get_submodule("cells.0")
        nn.init.orthogonal_(cell.get_parameter("from_h.weight"), gain)
    if kind == LINEAR:
        nn.init.ones_(cell.get_parameter("nonlinearity.weight"))  # a ReLU whose slope below zero is 1: a straight line
    return layer


def quiet(seed: int = 0) -> Float[Tensor, "time batch 1"]:
    """Draw inputs that are a hundredth as loud as usual, so that the weights decide and not the input."""
    with seeded(seed + 1000):
        return torch.randn(STEPS, BATCH, 1, dtype=torch.float64) / 100


def curve(kind: str, gain: float, seed: int = 0, volume: float = 1.0) -> Curve:
    """Measure how much of the gradient is left, step by step back, for `quiet` inputs `volume` times as loud."""
    (measured,) = retention(network(kind, gain, seed), volume * quiet(seed)).values()
    return measured


def factor(kind: str, gain: float, seed: int = 0, volume: float = 1.0) -> float:
    """Measure what one step back multiplies the gradient by, for `quiet` inputs `volume` times as loud."""
    return math.exp(curve(kind, gain, seed, volume).rate)


@torch.no_grad()
def slope_times_weights(kind: str, gain: float, seed: int = 0) -> float:
    """Predict the same without any gradient, from the states alone: root mean square slope times gain."""
    output, _ = network(kind, gain, seed)(quiet(seed))
    assert isinstance(output, Tensor)
    slope = {LINEAR: torch.ones_like, "tanh": lambda h: 1 - h**2, "sigmoid": lambda h: h * (1 - h)}[kind](output)
    per_step = slope.square().mean(dim=2).sqrt()
    return gain * float(per_step.log().mean().exp())


@claim(
    section=5,
    sentence="A factor below one at every step makes the gradient shrink exponentially.",
    finding="Weights that shrink the state to nine tenths at every step leave nine tenths of the gradient after one "
    "step, 0.9 times 0.9 after two, and so on, exactly.",
    scope=before_training(
        "straight network with orthogonal weights times 0.9", HIDDEN, STEPS, "white noise a hundredth as loud as usual"
    ),
    statistic="largest difference between the gradient that is left and 0.9 to the power of the lag, over 49 lags",
    unit="of the power",
    source=sources.APXML,
    stated=Verdict.HOLDS,
    holds=at_most(1e-9),
    fails=at_least(1e-2),
    control=control("in a tanh network, whose slope is another factor", kind="tanh"),
    identity=True,
)
def factors_compound(seed: int, kind: str = LINEAR) -> float:
    """Compare with the power."""
    measured = curve(kind, 0.9, seed)
    return float((measured.gain / 0.9 ** measured.lag.double() - 1).abs().max())


@claim(
    section=5,
    sentence="A step back shrinks the gradient because tanh and sigmoid squash their output into a small range.",
    finding="The range is not the reason. Here tanh squashes every output, and yet the gradient grows on its way back, "
    "because the weights stretch more than the slope of tanh shrinks. This is so with inputs of usual size and smaller. Very "
    "loud ones drive tanh to where it is flat, and there it shrinks. The range is the same. Slope times weights decides.",
    scope=before_training(
        "tanh network with orthogonal weights times 1.5", HIDDEN, STEPS, "white noise a hundredth as loud as usual"
    ),
    statistic="what one step back multiplies the gradient by, in a tanh network whose weights stretch 1.5 times",
    unit="times per step",
    source=sources.MHTECHIN,
    stated=Verdict.FAILS,
    holds=at_most(0.9),
    fails=at_least(1.01),
    control=control("with inputs 3000 times as loud", volume=3000),
)
def squashing_is_the_reason(seed: int, volume: float = 1.0) -> float:
    """Squash, and stretch."""
    return factor("tanh", 1.5, seed, volume)


@claim(
    section=5,
    sentence="What a step back does to the gradient is slope times weights.",
    finding="Predicted from the states alone, without a gradient, and measured: the same within a tenth, for tanh, "
    "for sigmoid and for a straight line, and for weights that shrink or stretch.",
    scope=before_training(
        "straight, tanh and sigmoid networks with orthogonal weights times 0.5, 1.5 and 4",
        HIDDEN,
        STEPS,
        "white noise a hundredth as loud as usual",
    ),
    statistic="largest difference between predicted and measured factor per step, over three networks and three gains",
    unit="of the measured one",
    source=sources.SIUA,
    stated=Verdict.HOLDS,
    holds=at_most(0.1),
    caveat=Bounds(0.1, 0.3),
    fails=at_least(0.5),
    control=control("where the weights alone are asked, without the slope", slopes=False),
)
def slope_times_weights_decides(seed: int, slopes: bool = True) -> float:
    """Compare prediction and measurement."""
    pairs = [(kind, gain) for kind in (LINEAR, "tanh", "sigmoid") for gain in (0.5, 1.5, 4.0)]
    return max(
        abs((slope_times_weights(*pair, seed) if slopes else pair[1]) / factor(*pair, seed) - 1) for pair in pairs
    )
