"""Section 10: a vanishing gradient is a network that calms every disturbance; an exploding one magnifies it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.small import seeded

STEPS, HIDDEN = 30, 64
#: A step by which the network as torch draws it has calmed down, but not yet to below the resolution.
CALM = 15
#: Recurrent weights, as a multiple of those that torch draws, with which gradients explode.
WILD = 4.0
NUDGE = 1e-9
#: Double precision keeps 16 digits of states that are about one: a distance below this cannot be told from rounding.
RESOLUTION = 1e-15
#: Recurrent weights as multiples of those that torch draws.
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)


def network(seed: int, scale: float = 1.0) -> tuple[nn.RNN, Tensor]:
    """Draw a `torch.nn.RNN` with recurrent weights `scale` times as large as torch draws them, and one sequence."""
    with seeded(seed):
        layer = nn.RNN(1, HIDDEN).double()
        x = torch.randn(STEPS, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").mul_(scale)
    return layer, x


@torch.no_grad()
def distance(seed: int, scale: float = 1.0, nudge: float = NUDGE) -> Float[Tensor, " time"]:
    """Return how far apart twins are after each step, as a multiple of the nudge that first parted them; lag 0 is 1.

    Both read the same sequence. The initial state of one is moved by `nudge`, in a direction that is drawn.
    """
    layer, x = network(seed, scale)
    with seeded(seed):
        moved = nn.functional.normalize(torch.randn(1, 1, HIDDEN, dtype=torch.float64), dim=-1) * nudge
    apart = (layer(x, moved)[0] - layer(x)[0])[:, 0].norm(dim=-1)
    apart = torch.where(apart < RESOLUTION, torch.nan, apart)
    return torch.cat([torch.ones(1, dtype=torch.float64), apart / nudge])


@torch.no_grad()
def jacobian(seed: int, scale: float = 1.0) -> float:
    """Return the typical size of the derivative of the last state by the initial one: what gradients are multiplied by.

    Frobenius norm over the root of the width: what becomes of a nudge in a direction that is drawn.
    """
    layer, x = network(seed, scale)
    whole = torch.eye(HIDDEN, dtype=torch.float64)
    for state in layer(x)[0][:, 0]:
        whole = (1 - state.square())[:, None] * (layer.get_parameter("weight_hh_l0") @ whole)
    return float(whole.norm()) / math.sqrt(HIDDEN)


@claim(
    section=10,
    sentence="A network with vanishing gradients is unstable: a tiny change makes its predictions very different.",
    finding="The reverse is true. It calms every disturbance: twins that were parted soon cannot be told apart.",
    scope=before_training("nn.RNN", HIDDEN, STEPS),
    statistic=f"powers of ten by which the distance between twins has shrunk after {CALM} steps, as PyTorch draws the "
    "network (below 0: grown)",
    unit="powers of ten",
    stated=Verdict.FAILS,
    holds=at_most(-1),
    fails=at_least(2),
    control=control(f"with recurrent weights {WILD:g} times as large", scale=WILD),
)
def vanishing_is_unstable(seed: int, scale: float = 1.0) -> float:
    """Nudge it."""
    return -math.log10(float(distance(seed, scale)[CALM]))


@claim(
    section=10,
    sentence="A network with exploding gradients is unstable.",
    finding=f"With recurrent weights {WILD:g} times as large, gradients explode, and twins drift far apart.",
    scope=before_training(f"nn.RNN with recurrent weights {WILD:g} times as large", HIDDEN, STEPS),
    statistic=f"powers of ten by which the distance between twins has grown after {STEPS} steps",
    unit="powers of ten",
    source=sources.R_PROJECTS,
    stated=Verdict.HOLDS,
    holds=at_least(2),
    fails=at_most(0),
    control=control("with recurrent weights 1.5 times as large as PyTorch draws them", scale=1.5),
)
def exploding_is_unstable(seed: int, scale: float = WILD) -> float:
    """Nudge it, with large weights."""
    return math.log10(float(distance(seed, scale)[-1]))


@claim(
    section=10,
    sentence="How a disturbance grows and how a gradient grows is one and the same thing.",
    finding="From small weights to large ones, both grow about a million times. At each size of the weights the two "
    "are alike: the one is less than ten times the other.",
    scope=before_training(
        f"nn.RNN with recurrent weights {SCALES[0]:g} to {SCALES[-1]:g} times as large", HIDDEN, STEPS
    ),
    statistic="largest gap between the growth of the distance and that of the gradient, over all sizes of the weights "
    "at which the distance can be told from rounding",
    unit="powers of ten",
    stated=Verdict.HOLDS,
    holds=at_most(1),
    fails=at_least(3),
    control=control("where twins are parted by far more than the states can hold", nudge=100.0),
)
def nudges_match_gradients(seed: int, nudge: float = NUDGE) -> float:
    """Compare the two at each scale."""
    pairs = [(float(distance(seed, scale, nudge)[-1]), jacobian(seed, scale)) for scale in SCALES]
    return max(abs(math.log10(nudge / gradient)) for nudge, gradient in pairs if not math.isnan(nudge))
