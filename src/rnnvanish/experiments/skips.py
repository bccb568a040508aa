"""Section 16: shortcuts between layers help depth; only a shortcut through time helps memory."""

from collections.abc import Sequence

import torch
from torch import nn

from rnnvanish import cells
from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.scopes import before_training, trained
from rnnvanish.experiments.small import seeded
from rnnvanish.experiments.workbench import HIDDEN, LEARNER, STEPS, Build, curve, learn
from rnnvanish.mitigations import Dilated, SkipThroughTime
from rnnvanish.recurrent import Recurrent

LAYERS, LAG, LIMIT, LEAP = 4, 30, 100, 8
CLOCKS = tuple(2**power for power in range(9))  # steps from tick to tick


def layered(skip: str | None = None, layers: int = LAYERS) -> Build:
    """Say how to draw plain layers on top of each other, with shortcuts between them ("residual") or without."""
    return lambda: Recurrent(cells.Elman, 1, HIDDEN, num_layers=layers, skip=skip)


def through_time(lag: int = 10, weight: float = 0.9, hidden: int = HIDDEN) -> Build:
    """Say how to draw a plain layer whose outputs also receive the one of `lag` steps ago; weight 0: plain."""
    return lambda: SkipThroughTime(lag, weight)(nn.RNN(1, hidden)) if weight else nn.RNN(1, hidden)


def dilated(leap: int) -> Build:
    """Say how to draw a plain layer that steps from the state of `leap` steps ago."""
    return lambda: Dilated(start=leap)(Recurrent(cells.Elman, 1, HIDDEN, engine="reference"))


def clockwork(periods: Sequence[int] = CLOCKS) -> Build:
    """Say how to draw a clockwork network, whose units tick after these numbers of steps."""
    return lambda: Recurrent(cells.ClockworkRNN, 1, HIDDEN, engine="reference", periods=periods)


def through_layers(skip: str | None, seed: int, layers: int = LAYERS) -> float:
    """Return the size of the gradient at the last input, after its way from the top layer down to the bottom."""
    with seeded(seed):
        network = layered(skip, layers)().double()
        x = torch.randn(STEPS, 16, 1).double().requires_grad_()
    output, _ = network(x)
    return float(torch.autograd.grad(output[-1].sum(), x)[0][-1].norm())


@claim(
    section=16,
    sentence="Skip connections between layers help against forgetting over time.",
    finding="They do not. In four layers with shortcuts from layer to layer, the gradient is lost over time as fast "
    "as without.",
    scope=before_training(f"plain network of {LAYERS} layers", HIDDEN, STEPS),
    statistic="half-life of the gradient in the lowest of four layers with shortcuts, as a multiple of that without",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_least(2),
    fails=at_most(1.4),
    control=control("for a shortcut through time", between=False),
)
def between_layers_helps_time(seed: int, between: bool = True) -> float:
    """Measure the lowest layer."""
    shortcut = layered("residual") if between else through_time()
    return curve(shortcut, seed).half_life / curve(layered(), seed).half_life


@claim(
    section=16,
    sentence="Skip connections between layers help the gradient through many layers.",
    finding="That they do. What comes down through four layers is several times as large with shortcuts.",
    scope=before_training(f"plain network of {LAYERS} layers", HIDDEN, STEPS),
    statistic="size of the gradient at the last input with shortcuts, as a multiple of that without",
    unit="times",
    source=sources.RESIDUAL_LAYERS,
    stated=Verdict.HOLDS,
    holds=at_least(2),
    fails=at_most(1),
    control=control("with a single layer, which has nothing to leap over", layers=1),
)
def between_layers_helps_depth(seed: int, layers: int = LAYERS) -> float:
    """Come down the layers, at the last step."""
    return through_layers("residual", seed, layers) / through_layers(None, seed, layers)


@claim(
    section=16,
    sentence="Skip connections through time keep the gradient.",
    finding="They do. With a shortcut that leaps over ten steps, what arrives from a hundred steps back is even ten to forty "
    "times as large as what set out. Without it next to nothing arrives.",
    scope=before_training("nn.RNN with a shortcut over 10 steps", HIDDEN, STEPS),
    statistic="powers of ten that the gradient has grown by 100 steps back",
    unit="powers of ten",
    source=sources.RESIDUAL_TIME,
    stated=Verdict.HOLDS,
    holds=Bounds(-2, 2),
    fails=at_most(-6),
    control=control("where a thousandth goes through the shortcut, not nine tenths", weight=0.001),
)
def through_time_helps_time(seed: int, weight: float = 0.9) -> float:
    """Leap over ten steps."""
    return -curve(through_time(weight=weight), seed).decades_lost(100)


@claim(
    section=16,
    sentence="With skip connections through time, a plain network learns what lies 30 steps back.",
    finding="It does, in a fraction of the steps after which we gave up on the network without them.",
    scope=trained(
        "nn.RNN with a shortcut over 10 steps and without", LEARNER, f"recall of a bit {LAG} steps back", LIMIT
    ),
    statistic=f"training steps with a shortcut over 10 steps, as a part of those without, which were stopped at {LIMIT}",
    unit="of the steps",
    stated=Verdict.HOLDS,
    holds=at_most(0.7),
    fails=at_least(0.95),
    control=control("where a thousandth goes through the shortcut, not nine tenths", weight=0.001),
)
def through_time_learns(seed: int, weight: float = 0.9) -> float:
    """Teach both."""
    skipping, plain = (
        min(learn(through_time(weight=each, hidden=LEARNER), LAG, seed, limit=LIMIT).steps, float(LIMIT))
        for each in (weight, 0.0)
    )
    return skipping / plain


@claim(
    section=16,
    sentence=f"A network that steps from the state of {LEAP} steps ago keeps its gradient {LEAP} times as long.",
    finding=f"It does, in steps. The gradient passes as many states as before, each {LEAP} steps from the next. It is {LEAP} networks that take "
    "turns, and none hears the others.",
    scope=before_training(f"nn.RNN, dilated by {LEAP}", HIDDEN, STEPS),
    statistic="half-life of the gradient of the dilated network, as a multiple of that of the plain one",
    unit="times",
    stated=Verdict.HOLDS,
    holds=Bounds(0.75 * LEAP, 1.25 * LEAP),
    fails=at_most(2),
    seeds=3,
    control=control("where it steps from the last state", leap=1),
)
def dilation_multiplies(seed: int, leap: int = LEAP) -> float:
    """Leap, and count steps."""
    return curve(dilated(leap), seed).half_life / curve(dilated(1), seed).half_life


@claim(
    section=16,
    sentence="Units that work at a slow clock remember longer.",
    finding="They do. Of units whose clocks tick after 1, 2, 4 and more steps, more than a tenth of the gradient is left a hundred steps back. Between "
    "two ticks a unit keeps what it has.",
    scope=before_training("clockwork network as its paper draws it", HIDDEN, STEPS),
    statistic="gradient that is left 100 steps back",
    unit="of it",
    stated=Verdict.HOLDS,
    holds=at_least(0.1),
    fails=at_most(1e-6),
    seeds=3,
    control=control("where all clocks tick at every step", periods=(1,)),
)
def slow_clocks_remember(seed: int, periods: Sequence[int] = CLOCKS) -> float:
    """Look a hundred steps back."""
    return float(curve(clockwork(periods), seed).gain[100])
