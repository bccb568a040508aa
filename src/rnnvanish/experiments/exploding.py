"""Beyond the usual explanation: gradients that grow on their way back."""

from functools import partial

from torch import nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments.claim_grid import Grid, grid_claim
from rnnvanish.experiments.claim_study import ORTHOGONAL, Network, Outcome
from rnnvanish.experiments.initialisation import layer
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.workbench import HIDDEN, STEPS, Build, curve

#: Recurrent weights, as a multiple of orthogonal ones.
SCALES = (0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 2.0, 2.5, 3.0)
WILD, LAG, NEAR = 3.0, 40, 20

#: The network that learns, and how far its weights stretch.
STRETCHED, STRETCHES = Network("stretched", mitigations="OrthogonalStart(gain={stretch})"), (1.5, 2.0, 3.0)

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


@grid_claim(
    section=20,
    sentence="Clipping cures exploding gradients: the network then learns.",
    finding="Where it stretches up to twice, the clipped network learns as often as the tame one. Where it stretches three "
    "times, small ones mostly do, and one of 256 units does not.",
    scope="`nn.RNN` with orthogonal weights that stretch, clipped at a norm of 1",
    statistic="share of the seeds that learn without stretching, less that with it",
    unit="of the seeds",
    sides=(STRETCHED, ORTHOGONAL),
    grid=Grid(lag=(LAG,), task=("recall",), stretch=STRETCHES),
    stated=Verdict.CAVEAT,
    holds=at_most(0.4),
    fails=at_least(0.6),
    control=control(
        "with 256 units that stretch three times",
        grid=Grid(lag=(LAG,), hidden_size=(256,), task=("recall",), stretch=(WILD,)),
    ),
)
def clipping_cures(stretched: Outcome, tame: Outcome) -> float:
    """Compare how many learn."""
    return tame.share - stretched.share


@grid_claim(
    section=20,
    sentence=f"With clipping, a network that explodes learns what lies {NEAR} steps back.",
    finding="It does, at its own best rate, at every width and with either optimiser.",
    scope=f"`nn.RNN` with orthogonal weights that stretch {WILD:g} times, clipped at a norm of 1",
    statistic="share of the seeds that learn, with stretching",
    unit="of the seeds",
    sides=(STRETCHED, ORTHOGONAL),
    grid=Grid(lag=(NEAR,), task=("recall",), stretch=(WILD,)),
    stated=Verdict.HOLDS,
    holds=at_least(0.6),
    fails=at_most(0.4),
    control=control(f"{LAG} steps back", grid=Grid(lag=(LAG,), task=("recall",), stretch=(WILD,))),
    learner=True,
)
def clipping_learns_what_is_near(stretched: Outcome, tame: Outcome) -> float:
    """Count the seeds that learn."""
    return stretched.share
