"""Beyond the usual explanation: gradients that grow on their way back."""

from functools import partial

from torch import nn

from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments.initialisation import layer
from rnnvanish.experiments.scopes import before_training, trained
from rnnvanish.experiments.workbench import HIDDEN, LEARNER, STEPS, Build, curve, learn

#: Recurrent weights, as a multiple of orthogonal ones.
SCALES = (0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 2.0, 2.5, 3.0)
WILD, LAG, LIMIT = 3.0, 40, 200
NEAR, PATIENCE = 20, 300

#: Recurrent layers as torch draws them.
DEFAULTS: tuple[Build, ...] = tuple(partial(kind, 1, HIDDEN) for kind in (nn.RNN, nn.LSTM, nn.GRU))


def wild(scale: float = WILD, hidden: int = HIDDEN) -> Build:
    """Say how to draw a plain network with weights that turn the state and stretch it `scale` times."""
    return layer("orthogonal", hidden, scale)


def powers(build: Build, seed: int, lag: int = 100) -> float:
    """Return the powers of ten that the gradient has grown by `lag` steps back; negative where it shrank."""
    return -curve(build, seed).decades_lost(lag)


@claim(
    section=20,
    sentence="A gradient can only vanish on its way back.",
    finding="It can explode as well. With weights that stretch three times, it is many billions of times as large "
    "100 steps back.",
    scope=before_training(f"nn.RNN with orthogonal weights times {WILD:g}", HIDDEN, STEPS),
    statistic="powers of ten that the gradient has grown by 100 steps back",
    unit="powers of ten",
    stated=Verdict.FAILS,
    holds=at_most(0),
    fails=at_least(6),
    control=control("with weights that shrink", scale=0.8),
)
def gradients_only_vanish(seed: int, scale: float = WILD) -> float:
    """Stretch three times."""
    return powers(wild(scale), seed)


@claim(
    section=20,
    sentence="A recurrent network as PyTorch draws it is in danger of exploding.",
    finding="Not at its start: in PyTorch's RNN, LSTM and GRU alike, the gradient shrinks, by many powers of ten.",
    scope=before_training("nn.RNN, nn.LSTM and nn.GRU", HIDDEN, STEPS),
    statistic="powers of ten that the gradient has grown by 100 steps back, the largest of RNN, LSTM and GRU",
    unit="powers of ten",
    stated=Verdict.FAILS,
    holds=at_least(3),
    fails=at_most(-3),
    control=control("with weights that stretch three times", builds=(wild(),)),
)
def default_explodes(seed: int, builds: tuple[Build, ...] = DEFAULTS) -> float:
    """Take the three as they come."""
    return max(powers(build, seed) for build in builds)


@claim(
    section=20,
    sentence="Clipping cures exploding gradients: the network then learns.",
    finding=f"Training survives, but does not get there. A network that explodes, clipped, did not learn in {LIMIT} "
    "steps what the same network without the stretching learns soon.",
    scope=trained(
        f"nn.RNN with orthogonal weights, and those times {WILD:g}", LEARNER, f"recall of a bit {LAG} steps back", LIMIT
    ),
    statistic=f"training steps without stretching, as a part of those with it, which were stopped at {LIMIT}",
    unit="of the steps",
    stated=Verdict.FAILS,
    holds=at_least(0.8),
    fails=at_most(0.5),
    control=control("with weights that stretch 1.2 times", scale=1.2),
)
def clipping_cures(seed: int, scale: float = WILD) -> float:
    """Teach both, clipped at 1."""
    tame, stretched = (
        min(learn(wild(each, LEARNER), LAG, seed, limit=LIMIT, clip=1.0).steps, float(LIMIT)) for each in (1.0, scale)
    )
    return tame / stretched


@claim(
    section=20,
    sentence=f"With clipping, a network that explodes learns what lies {NEAR} steps back.",
    finding="It does, but it takes several times as many training steps as without the stretching.",
    scope=trained(
        f"nn.RNN with orthogonal weights, and those times {WILD:g}",
        LEARNER,
        f"recall of a bit {NEAR} steps back",
        PATIENCE,
    ),
    statistic=f"training steps with stretching, as a multiple of those without; endless if not learnt in {PATIENCE}",
    unit="times",
    stated=Verdict.CAVEAT,
    holds=at_most(1.2),
    caveat=Bounds(1.5, 10),
    fails=at_least(12),
    control=control("with weights that stretch 1.2 times", scale=1.2),
)
def clipping_learns_what_is_near(seed: int, scale: float = WILD) -> float:
    """Teach both, clipped at 1."""
    tame, stretched = (learn(wild(each, LEARNER), NEAR, seed, limit=PATIENCE, clip=1.0).steps for each in (1.0, scale))
    return stretched / tame
