"""Section 12, depth within a step: each layer that a state passes on its way to the next one takes its part."""

from rnnvanish import cells
from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.workbench import STEPS, Build, curve
from rnnvanish.recurrent import Recurrent

HIDDEN, DEEP = 16, 8


def highway(depth: int, bias: float = -2.0) -> Build:
    """Say how to draw a recurrent highway network with `depth` layers in each step; `bias` is that of its gates."""
    return lambda: Recurrent(cells.RHN, 1, HIDDEN, engine="reference", depth=depth, bias=bias)


@claim(
    section=12,
    sentence="Making the step from one state to the next deeper helps a network remember.",
    finding=f"It makes the way longer. With {DEEP} layers in each step the gradient lasts an eighth as many steps: it passes as many layers "
    "as before, and they are used up sooner.",
    scope=before_training(
        f"recurrent highway network with {DEEP} layers a step, as its authors draw it", HIDDEN, STEPS
    ),
    statistic=f"half-life of the gradient with {DEEP} layers in each step, as a multiple of that with one",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_least(0.9),
    fails=at_most(0.25),
    seeds=3,
    control=control("with one layer a step whose gates let more of the state by", depth=1, bias=-4.0),
)
def deeper_step_remembers(seed: int, depth: int = DEEP, bias: float = -2.0) -> float:
    """Make the step deeper."""
    return curve(highway(depth, bias), seed).half_life / curve(highway(1), seed).half_life
