"""Section 13: what the first weights decide, how surely, and for how long."""

import statistics
from collections.abc import Callable

from torch import nn

from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.claim_grid import Grid, grid_claim
from rnnvanish.experiments.claim_study import DEFAULT, HALF, ORTHOGONAL, Outcome
from rnnvanish.experiments.keras_start import keras_start
from rnnvanish.experiments.scopes import before_training, trained
from rnnvanish.experiments.workbench import HIDDEN, LEARNER, LOUD, QUIET, STEPS, Build, curve, learn
from rnnvanish.mitigations import Glorot, OrthogonalStart

VOLUMES = (QUIET, 1.0, LOUD)
LAG = 40

#: How to draw the weights.
STARTS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "default": lambda layer: layer,
    "Keras": keras_start,
    "Glorot": Glorot(),
    "orthogonal": OrthogonalStart(),
}


def layer(start: str, hidden: int = HIDDEN, scale: float = 1.0) -> Build:
    """Say how to draw a `torch.nn.RNN`: by one of `STARTS`, with recurrent weights `scale` times as large."""

    def build() -> nn.Module:
        network = STARTS[start](nn.RNN(1, hidden))
        network.get_parameter("weight_hh_l0").data.mul_(scale)
        return network

    return build


def scatter(start: str, seed: int, draws: int = 10) -> float:
    """Return how far the rate of forgetting scatters from draw to draw: standard deviation, in nats per step."""
    return statistics.stdev(curve(layer(start), seed * draws + draw).rate for draw in range(draws))


def gained(seed: int, volume: float = 1.0, scale: float = 1.0) -> float:
    """Return the half-life with Glorot's weights, `scale` times as large, as a multiple of that with PyTorch's own."""
    glorot, default = (
        curve(build, seed, volume=volume).half_life for build in (layer("Glorot", scale=scale), layer("default"))
    )
    return glorot / default


def trained_half_life(seed: int, limit: int) -> float:
    """Start orthogonally, train for `limit` steps to remember a bit for 2 steps, and measure the half-life."""
    network = learn(layer("orthogonal", LEARNER), 2, seed, limit=limit, stop=False).model.get_submodule("layer")
    return curve(lambda: network, seed).half_life


@claim(
    section=13,
    sentence="Glorot (Xavier) initialisation keeps gradients from becoming too small.",
    finding="With inputs of ordinary size, and with quiet ones, it does: the gradient lasts at least three times as long as "
    "with PyTorch's own weights. Loud inputs drive tanh to its flat ends, and there no start helps much.",
    scope=before_training(
        "nn.RNN as PyTorch draws it and with Glorot's weights", HIDDEN, STEPS, "white noise, quiet, as usual and loud"
    ),
    statistic=f"volumes of the input, out of three ({', '.join(f'{each:g}' for each in VOLUMES)} times the usual), at "
    "which the half-life is at least three times as long as with PyTorch's default",
    unit="of 3 volumes",
    source=sources.WELLS,
    stated=Verdict.CAVEAT,
    holds=at_least(3),
    caveat=Bounds(1, 2),
    fails=at_most(0),
    control=control("with Glorot's weights, half as large", scale=0.5),
)
def glorot_keeps_gradients(seed: int, scale: float = 1.0) -> float:
    """Start it both ways, and count where it helps."""
    return sum(gained(seed, volume, scale) >= 3 for volume in VOLUMES)


@claim(
    section=13,
    sentence="One draw of Glorot's weights is as good as the next.",
    finding="It is a matter of luck. From draw to draw, Glorot's weights scatter far more than orthogonal ones do.",
    scope=before_training("ten draws of nn.RNN with Glorot's weights and with orthogonal ones", HIDDEN, STEPS),
    statistic="scatter of the rate of forgetting over ten draws of Glorot's weights, as a multiple of that of "
    "orthogonal weights",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_most(1.25),
    fails=at_least(1.75),
    control=control("for orthogonal weights themselves", start="orthogonal"),
)
def any_draw_is_as_good(seed: int, start: str = "Glorot") -> float:
    """Draw ten times of each."""
    return scatter(start, seed) / scatter("orthogonal", seed)


@grid_claim(
    section=13,
    sentence=f"A better start lets a plain network learn what lies {LAG} steps back.",
    finding="With plain gradient descent it decides: from PyTorch's own start no draw learns it, from the orthogonal "
    "one nearly all do. With Adam, each at its best rate, it helps where there are 16 units. With more, PyTorch's own start did "
    "as well, or better.",
    scope="`nn.RNN` with an orthogonal start and as PyTorch draws it",
    statistic="share of the seeds that learn from an orthogonal start, less that from PyTorch's own",
    unit="of the seeds",
    sides=(ORTHOGONAL, DEFAULT),
    grid=Grid(lag=(LAG,)),
    stated=Verdict.CAVEAT,
    holds=at_least(0.6),
    fails=at_most(0.4),
    control=control(
        "with orthogonal weights, half as large", sides=(HALF, DEFAULT), grid=Grid(lag=(LAG,), task=("recall",))
    ),
)
def good_start_learns(orthogonal: Outcome, default: Outcome) -> float:
    """Compare how many learn."""
    return orthogonal.share - default.share


@claim(
    section=13,
    sentence="The reach that a good start gives lasts through training.",
    finding="It is only a start. Train the network on something that needs a memory of two steps, and most draws lose "
    "much of the reach that they began with.",
    scope=trained("nn.RNN with an orthogonal start", LEARNER, "recall of a bit 2 steps back", 200, stop=False),
    statistic="half-life after 200 training steps, as a part of the half-life at the orthogonal start",
    unit="of the half-life",
    stated=Verdict.FAILS,
    holds=at_least(0.95),
    fails=at_most(0.85),
    control=control("before training", limit=0),
)
def good_start_lasts(seed: int, limit: int = 200) -> float:
    """Measure before and after."""
    return trained_half_life(seed, limit) / trained_half_life(seed, limit=0)
