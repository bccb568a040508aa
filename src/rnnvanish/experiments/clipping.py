"""Section 14: gradient clipping shortens what is too long, and does nothing for what is too short."""

import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.claim_grid import Grid, grid_claim
from rnnvanish.experiments.claim_study import DEFAULT, ORTHOGONAL, Network, Outcome
from rnnvanish.experiments.small import seeded
from rnnvanish.mitigation import Rule
from rnnvanish.mitigations import ClipNorm, ClipValue

THRESHOLD = 1.0

#: A network that explodes, clipped at a norm of 1 and not clipped, and one that does not; how long it is looked at.
CLIPPED = Network("clipped", "Elman(nonlinearity='relu')", "Identity(scale=1.2)")
UNCLIPPED = replace(CLIPPED, words="not clipped", clip=0.0)
TAME = replace(CLIPPED, mitigations="Identity")
EXPLODING = Grid(lag=(20, 60), optimizer=("sgd",), task=("recall",), budget=200)


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


@grid_claim(
    section=14,
    sentence="Gradient clipping keeps training from blowing up.",
    finding="It does where the gradient is long enough to need it: there, training without clipping has no number any more after "
    "a few steps, however small the rate. Over a short distance a small rate does as well.",
    scope="`nn.RNN` with ReLU and recurrent weights that stretch 1.2 times, plain gradient descent",
    statistic="share of the seeds whose training ends alive with clipping, less that without",
    unit="of the seeds",
    sides=(CLIPPED, UNCLIPPED),
    grid=EXPLODING,
    source=sources.ATLAS_GRADIENTS,
    stated=Verdict.CAVEAT,
    holds=at_least(0.6),
    fails=at_most(0.1),
    control=control("in a network that does not explode", sides=(TAME, replace(TAME, clip=0.0))),
    counts=lambda side: side.alive > 0,
)
def clipping_stops_explosions(clipped: Outcome, unclipped: Outcome) -> float:
    """Compare how many survive."""
    return clipped.alive - unclipped.alive


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


@grid_claim(
    section=14,
    sentence="With clipping, a plain network learns what lies 40 steps back.",
    finding="Clipping makes no difference to whether it learns. Adam teaches it to as many draws with clipping as without; "
    "plain gradient descent to none, either way.",
    scope="`nn.RNN` as PyTorch draws it, clipped at a norm of 1 and not clipped",
    statistic="share of the seeds that learn with clipping, less that without",
    unit="of the seeds",
    sides=(DEFAULT, replace(DEFAULT, words="the same without clipping", clip=0.0)),
    grid=Grid(lag=(40,), task=("recall",)),
    source=sources.ANABEL,
    stated=Verdict.FAILS,
    holds=at_least(0.6),
    fails=at_most(0.4),
    control=control(
        "where the clipped one has an orthogonal start, too", sides=(ORTHOGONAL, replace(DEFAULT, clip=0.0))
    ),
)
def clipping_mends_vanishing(clipped: Outcome, unclipped: Outcome) -> float:
    """Compare how many learn."""
    return clipped.share - unclipped.share
