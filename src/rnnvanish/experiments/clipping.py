"""Section 14: gradient clipping shortens what is too long, and does nothing for what is too short."""

import math
import statistics
from collections.abc import Callable
from functools import partial
from itertools import takewhile

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.initialisation import layer
from rnnvanish.experiments.learning import Lesson
from rnnvanish.experiments.scopes import trained
from rnnvanish.experiments.small import seeded
from rnnvanish.experiments.workbench import LEARNER, learn
from rnnvanish.mitigation import Rule
from rnnvanish.mitigations import ClipNorm, ClipValue, Identity

THRESHOLD, LIMIT = 1.0, 100


def clip(gradient: Tensor, rule: Rule = ClipNorm(THRESHOLD)) -> Tensor:  # noqa: B008  # a rule does not change
    """Clip one gradient."""
    weight = nn.Parameter(torch.zeros_like(gradient))
    weight.grad = gradient.clone()
    rule.apply([weight])
    return weight.grad


def gradients(seed: int, count: int = 2000) -> Float[Tensor, "count weights"]:
    """Draw gradients of all sizes, from 10⁻¹² to 10¹²."""
    with seeded(seed):
        directions = torch.randn(count, 20, dtype=torch.float64)
        sizes = 10 ** (24 * torch.rand(count, 1, dtype=torch.float64) - 12)
    drawn: Tensor = directions / directions.norm(dim=1, keepdim=True) * sizes
    return drawn


def wild(scale: float = 1.2) -> nn.Module:
    """Draw a network that explodes: ReLU, and recurrent weights that hand each unit on `scale` times as large."""
    return Identity(scale=scale)(nn.RNN(1, LEARNER, nonlinearity="relu"))


def explode(seed: int, threshold: float | None, scale: float = 1.2) -> Lesson:
    """Train a network that explodes, by plain gradient descent, on a bit 60 steps back."""
    return learn(
        partial(wild, scale), 60, seed, clip=threshold, limit=LIMIT, lr=0.1, optimizer=torch.optim.SGD, stop=False
    )


def survived(lesson: Lesson) -> int:
    """Count the steps until the loss is not a number, or infinite."""
    return sum(1 for _ in takewhile(math.isfinite, lesson.losses))


def angle(one: Tensor, other: Tensor) -> float:
    """Return the angle between two gradients, in degrees."""
    return math.degrees(math.acos(min(1.0, float(torch.cosine_similarity(one, other, dim=0, eps=1e-40)))))


@claim(
    section=14,
    sentence="Gradient clipping keeps gradients from becoming too small.",
    finding="Not one of 2000 gradients came out larger than it went in. What is too small stays too small.",
    scope="2000 gradients of 20 numbers, of all lengths from 10⁻¹² to 10¹²; no network",
    statistic="gradients that clipping made larger, out of 2000 of all sizes",
    unit="gradients",
    source=sources.CLIPPING_QUESTION,
    stated=Verdict.FAILS,
    holds=at_least(500),
    fails=at_most(0),
    control=control(
        "for a rule that brings every gradient to length 1", shorten=partial(nn.functional.normalize, dim=0)
    ),
    identity=True,
)
def clipping_enlarges(seed: int, shorten: Callable[[Tensor], Tensor] = clip) -> float:
    """Clip them all, and count."""
    return sum(float(shorten(gradient).norm() > gradient.norm() * (1 + 1e-9)) for gradient in gradients(seed))


@claim(
    section=14,
    sentence="Gradient clipping keeps training from blowing up.",
    finding="It does. Without it the loss of this network is no number any more after a few steps. With it, training runs to its end.",
    scope=trained(
        "nn.RNN of ReLUs with weights 1.2 times the identity",
        LEARNER,
        "recall of a bit 60 steps back",
        LIMIT,
        0.1,
        "plain gradient descent",
        stop=False,
    ),
    statistic=f"training steps that a network which explodes survives thanks to clipping, out of {LIMIT}",
    unit="steps",
    source=sources.ATLAS_GRADIENTS,
    stated=Verdict.HOLDS,
    holds=at_least(80),
    fails=at_most(20),
    control=control("in a network that does not explode", scale=1.0),
)
def clipping_stops_explosions(seed: int, scale: float = 1.2) -> float:
    """Train with and without."""
    return survived(explode(seed, THRESHOLD, scale)) - survived(explode(seed, None, scale))


@claim(
    section=14,
    sentence="Clipping shortens the gradient and leaves its direction alone.",
    finding="Clipping by the norm does: it does not turn the gradient at all. Clipping each number by itself, which is "
    "also called gradient clipping, turns it.",
    scope="200 gradients of 20 numbers, of all lengths from 10⁻¹² to 10¹²; no network",
    statistic="angle by which clipping each number at a hundredth of the gradient's length turns it (median of 200)",
    unit="degrees",
    stated=Verdict.CAVEAT,
    holds=at_most(1),
    caveat=Bounds(10, 60),
    control=control("for clipping by the norm", kind=ClipNorm),
)
def clipping_keeps_direction(seed: int, kind: Callable[[float], Rule] = ClipValue) -> float:
    """Clip both ways; by the norm, nothing may turn."""
    by_norm, by_value = [], []
    for gradient in gradients(seed, 200):
        size = float(gradient.norm())
        by_norm.append(angle(gradient, clip(gradient, ClipNorm(size / 100))))
        by_value.append(angle(gradient, clip(gradient, kind(size / 100))))
    return statistics.median(by_value) if max(by_norm) < 0.01 else math.nan


@claim(
    section=14,
    sentence="With clipping, a plain network learns what lies 30 steps back.",
    finding="With mild clipping and with strict clipping: the network as PyTorch draws it did not learn it in 150 steps.",
    scope=trained("nn.RNN", LEARNER, "recall of a bit 30 steps back", 150),
    statistic="settings of the clipping, out of two, with which it was learnt",
    unit="settings",
    source=sources.ANABEL,
    stated=Verdict.FAILS,
    holds=at_least(2),
    fails=at_most(0),
    control=control("from an orthogonal start", start="orthogonal"),
)
def clipping_mends_vanishing(seed: int, start: str = "default") -> float:
    """Clip at 1 and at 0.1."""
    thresholds = (1.0, 0.1)
    return sum(learn(layer(start, LEARNER), 30, seed, limit=150, clip=threshold).learnt for threshold in thresholds)
