"""Beyond: a gradient that survives is needed for learning, and not enough."""

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import torch
from torch import nn

from rnnvanish import cells
from rnnvanish.cell import Paper
from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments.claim_study import DEFAULT, ORTHOGONAL, Network, fresh, origin
from rnnvanish.experiments.learning import Reader, teach
from rnnvanish.experiments.scopes import trained
from rnnvanish.experiments.workbench import LEARNER, Build
from rnnvanish.mitigations import OrthogonalStart
from rnnvanish.recurrent import Recurrent
from rnnvanish.studies.reader import memories
from rnnvanish.task import Batch, Part, Task

RATE, TRAINED = 5e-3, 200
_RELU = "Elman(nonlinearity='relu')"
#: Pairs of a cell and a start, all that the study has trained at every distance.
PAIRS: dict[str, Network] = {
    "RNN, default": DEFAULT,
    "RNN, Glorot": replace(DEFAULT, mitigations="Glorot"),
    "RNN, orthogonal": ORTHOGONAL,
    "RNN, 0.8 times orthogonal": replace(DEFAULT, mitigations="OrthogonalStart(gain=0.8)"),
    "RNN, ReLU": replace(DEFAULT, cell=_RELU),
    "RNN, ReLU from the identity": replace(DEFAULT, cell=_RELU, mitigations="Identity"),
} | {
    f"{cell}, {words}": Network(words, cell, mitigations)
    for cell, bias in {"LSTM": 1.0, "GRU": 2.0}.items()
    for words, mitigations in {
        "default": "",
        f"open by {bias:g}": f"OpenGate({bias})",
        f"open by {2 * bias:g}": f"OpenGate({2 * bias})",
        "chrono": "Chrono(span=100)",
    }.items()
}

#: Plain networks whose half-lives lie far apart.
APART = ("RNN, ReLU", "RNN, 0.8 times orthogonal", "RNN, ReLU from the identity")
#: Fresh seeds of the study.
SEEDS = 3


_trained = cache(memories)


def point(name: str, seed: int) -> tuple[float, float]:
    """Read one of `PAIRS`: half-life before training in steps, and the steps of training until it learnt.

    These are the mean over all distances, each at the network's own best rate; one that is not learnt counts with all its steps.
    """
    rows = _trained()[PAIRS[name].cell, PAIRS[name].mitigations, fresh()[seed]]
    return rows[-1]["half_life_before"], statistics.mean(row["solved"] or row["budget"] for row in rows)


def middle(names: Iterable[str] = PAIRS) -> list[tuple[str, float, float]]:
    """Return the middle of all seeds for each network: name, half-life, steps of training."""
    return [
        (name, *map(statistics.median, zip(*(point(name, seed) for seed in range(SEEDS)), strict=True)))
        for name in names
    ]


def agreement(points: Iterable[tuple[float, float]]) -> float:
    """Return the rank correlation of half-life and of how soon something was learnt."""
    half_lives, steps = zip(*points, strict=True)
    return spearman(half_lives, [-each for each in steps])


def ranks(values: Sequence[float]) -> list[float]:
    """Rank from 1 up; equal values share the mean of their ranks."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Spearman's rank correlation: that of the ranks; nan where one of them does not vary."""
    rx, ry = ranks(x), ranks(y)
    return statistics.correlation(rx, ry) if len(set(rx)) > 1 and len(set(ry)) > 1 else math.nan


def interval(x: Sequence[float], y: Sequence[float], draws: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap interval of the rank correlation: pairs are drawn with replacement, percentiles are taken."""
    dice = random.Random(0)
    drawn = []
    for _ in range(draws):
        chosen = dice.choices(range(len(x)), k=len(x))
        drawn.append(spearman([x[i] for i in chosen], [y[i] for i in chosen]))
    drawn = sorted(value for value in drawn if not math.isnan(value))
    tail = (1 - level) / 2
    return drawn[int(tail * len(drawn))], drawn[int((1 - tail) * len(drawn)) - 1]


@claim(
    section=21,
    sentence="How long the gradient lasts before training tells how long a memory the network will learn.",
    finding="Roughly: over fourteen pairs of cell and start, each at its own best rate, those with a short half-life learn late "
    "or never. But it is not all, neither among plain networks nor among gated ones: some with a short half-life learn "
    "at once.",
    scope="nn.RNN, nn.LSTM and nn.GRU from fourteen starts, 64 units, recall of a bit 20, 40 and 80 steps back, Adam, at most 400 "
    "training steps, each at its best of four rates, chosen with two seeds; three fresh seeds",
    statistic="rank correlation of half-life and of how soon it is learnt, over 14 networks (1: the same order)",
    unit="(rank correlation)",
    stated=Verdict.CAVEAT,
    holds=at_least(0.95),
    caveat=Bounds(0.3, 0.9),
    fails=at_most(0.2),
    seeds=SEEDS,
    control=control("over three plain networks whose half-lives lie far apart", names=APART),
    origin=origin,
)
def half_life_foretells_memory(seed: int, names: Iterable[str] = PAIRS) -> float:
    """Order them both ways."""
    return agreement(point(name, seed) for name in names)


@dataclass(frozen=True)
class Same(Task):
    """Two bits, then noise: say at the end whether they were the same. No weighted sum of the two can tell.

    Feature: 1 or -1 at the first two steps, then noise from N(0, 0.1²). Classes: 0 for different, 1 for the same.
    """

    length: int = 8
    paper: ClassVar[Paper] = Paper(
        "Minsky & Papert", 1969, "Perceptrons", "https://mitpress.mit.edu/9780262630221/perceptrons/"
    )
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 2

    @property
    def floor(self) -> float:
        """Cross-entropy, in nats, of giving both answers the same chance: ln 2."""
        return math.log(2)

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw bits and noise."""
        bits = 2.0 * torch.randint(2, (2, count), generator=generator) - 1
        inputs = 0.1 * torch.randn(self.length, count, 1, generator=generator)
        inputs[:2, :, 0] = bits
        return Batch(inputs, (bits[0] == bits[1]).long(), None)


def straight(activation: str = "prelu") -> Build:
    """Say how to draw an orthogonal network: without a bend ("prelu" with slope 1), or with tanh."""

    def build() -> nn.Module:
        network = Recurrent(cells.Elman, 1, LEARNER, nonlinearity=activation)
        OrthogonalStart()(network)
        if activation == "prelu":
            slope = network.get_parameter("cells.0.nonlinearity.weight")
            nn.init.ones_(slope)
            slope.requires_grad_(False)
        return network

    return build


def learnt_same(build: Build, seed: int) -> float:
    """Teach whether two bits are the same; returns the part of right answers over the last 50 of 200 steps."""
    lesson = teach(lambda: Reader(build(), Same()), Same(), seed, limit=TRAINED, batch=32, lr=RATE, stop=False)
    return statistics.mean(lesson.scores[-50:])


@claim(
    section=21,
    sentence="If only the gradient survives, the network will learn.",
    finding="A network without any bend keeps its gradient whole over any distance. It cannot learn whether two bits "
    "were the same, six steps back: it guesses. No gradient brings what the network cannot express.",
    scope=trained(
        "straight plain network with an orthogonal start",
        LEARNER,
        f"whether two bits were the same, {Same.length} steps",
        TRAINED,
        RATE,
        stop=False,
    ),
    statistic="right answers of a network that keeps all of its gradient (guessing gives 0.5)",
    unit="of the answers",
    stated=Verdict.FAILS,
    holds=at_least(0.95),
    fails=at_most(0.65),
    control=control("in the same network with a bend", activation="tanh"),
)
def surviving_gradient_is_enough(seed: int, activation: str = "prelu") -> float:
    """Keep the whole gradient, and teach."""
    return learnt_same(straight(activation), seed)
