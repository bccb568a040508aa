"""Section 15: another activation function, and what has to come with it."""

from torch import nn

from rnnvanish import cells
from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.claim_grid import Grid, grid_claim
from rnnvanish.experiments.claim_study import Network, Outcome
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.workbench import HIDDEN, LOUD, QUIET, STEPS, Build, curve
from rnnvanish.mitigations import Identity
from rnnvanish.recurrent import Recurrent

RECTIFIERS = {"ReLU": "relu", "leaky ReLU": "leaky_relu", "parametric ReLU": "prelu"}
LAG = 20
VOLUMES, FEATURES = (QUIET, 1.0, 5 * LOUD), (1, 8, 64)
RELU = Network("ReLU alone", "Elman(nonlinearity='relu')")
IRNN = Network("ReLU from the identity", "Elman(nonlinearity='relu')", "Identity")


def layer(activation: str = "tanh", identity: bool = False, hidden: int = HIDDEN, features: int = 1) -> Build:
    """Say how to draw a plain network.

    Args:
        activation: Its activation function, as `cells.Elman` names it.
        identity: Whether to start with weights that hand each unit on as it is, and without biases (IRNN).
        hidden: Width of the state.
        features: Numbers that are read at a step.
    """

    def build() -> nn.Module:
        network = Recurrent(cells.Elman, features, hidden, nonlinearity=activation)
        if identity:
            Identity()(network)
        # torch's own loop is the faster one, where it has the activation function
        return network.to_torch() if activation in ("tanh", "relu") else network

    return build


def left(seed: int, lag: int, activation: str = "relu", identity: bool = True, features: int = 1) -> float:
    """Measure the part of the gradient that is left `lag` steps back."""
    return float(curve(layer(activation, identity, features=features), seed, features=features).gain[lag])


def swapped(seed: int, volume: float = 1.0, identity: bool = False) -> float:
    """Return the longest half-life with one of `RECTIFIERS`, as a multiple of that with tanh."""
    tanh, *others = (
        curve(layer(activation, identity and activation != "tanh"), seed, volume=volume).half_life
        for activation in ("tanh", *RECTIFIERS.values())
    )
    return max(others) / tanh


@claim(
    section=15,
    sentence="Replace tanh by ReLU, leaky ReLU or parametric ReLU, and the gradient vanishes less.",
    finding="With quiet inputs and with usual ones it vanishes faster, with each of the three. Only where very loud inputs "
    "drive tanh to its flat ends does the swap by itself help.",
    scope=before_training(
        "plain network with ReLU, leaky ReLU, parametric ReLU and tanh",
        HIDDEN,
        STEPS,
        "white noise, quiet, as usual and very loud",
    ),
    statistic=f"volumes of the input, out of three ({', '.join(f'{each:g}' for each in VOLUMES)} times the usual), at "
    "which the best of the three has a longer half-life than tanh",
    unit="of 3 volumes",
    source=sources.QEEEBO,
    stated=Verdict.CAVEAT,
    holds=at_least(3),
    caveat=Bounds(1, 2),
    fails=at_most(0),
    control=control("from weights that are the identity", identity=True),
)
def rectifiers_vanish_less(seed: int, identity: bool = False) -> float:
    """Swap the function alone, and count where it helps."""
    return sum(swapped(seed, volume, identity) > 1 for volume in VOLUMES)


@claim(
    section=15,
    sentence="With ReLU and weights that start as the identity, the gradient lasts.",
    finding="Over the last 20 of 101 steps most of it is left. What helps is the start, and the ReLU that lets it through.",
    scope=before_training(
        "nn.RNN of ReLUs that starts as the identity", HIDDEN, STEPS, "white noise of 1, 8 and 64 numbers a step"
    ),
    statistic="part of the gradient that is left 20 steps back; the smallest of 1, 8 and 64 numbers a step",
    unit="of the gradient",
    source=sources.LE,
    stated=Verdict.HOLDS,
    holds=at_least(0.5),
    fails=at_most(0.05),
    control=control("from PyTorch's own start", identity=False),
)
def identity_start_lasts(seed: int, identity: bool = True) -> float:
    """Look 20 steps back."""
    return min(left(seed, 20, identity=identity, features=features) for features in FEATURES)


@claim(
    section=15,
    sentence="With ReLU and weights that start as the identity, the gradient lasts however long the sequence is.",
    finding="It fades, slowly. A ReLU that is at zero lets nothing through, and one unit after another comes to zero. Where a "
    "step has many numbers, about a quarter is left of the gradient a hundred steps back. Where it has one, all units go out "
    "together, and exactly nothing is left. A small slope below zero (leaky, parametric) keeps it from being nothing.",
    scope=before_training(
        "nn.RNN of ReLUs that starts as the identity", HIDDEN, STEPS, "white noise of 1, 8 and 64 numbers a step"
    ),
    statistic="part of the gradient that is left 100 steps back, typical of 16 sequences; the largest of 1, 8 and 64 "
    "numbers a step",
    unit="of the gradient",
    source=sources.PAPERIUM,
    stated=Verdict.FAILS,
    holds=at_least(0.7),
    fails=at_most(0.4),
    control=control("20 steps back", lag=20),
)
def identity_start_lasts_for_ever(seed: int, lag: int = 100) -> float:
    """Look 100 steps back."""
    return max(left(seed, lag, features=features) for features in FEATURES)


@grid_claim(
    section=15,
    sentence=f"A network with ReLU learns what lies {LAG} steps back.",
    finding="Not by the ReLU alone: at no width, rate or task did it learn it from PyTorch's start, in 400 steps. "
    "From the identity it did.",
    scope="`nn.RNN` with ReLU, as PyTorch draws it",
    statistic="share of the seeds with which ReLU alone learns",
    unit="of the seeds",
    sides=(RELU, IRNN),
    grid=Grid(lag=(LAG,)),
    stated=Verdict.FAILS,
    holds=at_least(0.6),
    fails=at_most(0.4),
    control=control("from weights that are the identity", sides=(IRNN, RELU)),
    learner=True,
)
def relu_learns(relu: Outcome, identity: Outcome) -> float:
    """Count the seeds that learn."""
    return relu.share
