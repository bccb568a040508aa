"""Beyond: a gradient that survives is needed for learning, and not enough."""

import math
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import nn

from rnnvanish import cells
from rnnvanish.cell import Paper
from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import activations, gru, initialisation, lstm
from rnnvanish.experiments.learning import Reader, teach
from rnnvanish.experiments.scopes import trained
from rnnvanish.experiments.workbench import LEARNER, Build, curve, learn
from rnnvanish.mitigations import OrthogonalStart
from rnnvanish.recurrent import Recurrent
from rnnvanish.task import Batch, Part, Task

LAGS, PATIENCE, RATE, TRAINED = (5, 10, 20, 40, 80), 150, 5e-3, 200

#: Pairs of a cell and a start, drawn with a given number of units.
PAIRS: dict[str, Callable[[int], Build]] = {
    "RNN, default": lambda hidden: initialisation.layer("default", hidden),
    "RNN, half the default": lambda hidden: initialisation.layer("default", hidden, 0.5),
    "RNN, 1.4 times the default": lambda hidden: initialisation.layer("default", hidden, 1.4),
    "RNN, Glorot": lambda hidden: initialisation.layer("Glorot", hidden),
    "RNN, orthogonal": lambda hidden: initialisation.layer("orthogonal", hidden),
    "RNN, 0.8 times orthogonal": lambda hidden: initialisation.layer("orthogonal", hidden, 0.8),
    "RNN, ReLU": lambda hidden: activations.layer("relu", hidden=hidden),
    "LSTM, default": lambda hidden: lstm.layer("default", hidden),
    "LSTM, open by 1": lambda hidden: lstm.layer(1.0, hidden),
    "LSTM, open by 2": lambda hidden: lstm.layer(2.0, hidden),
    "LSTM, chrono": lambda hidden: lstm.layer("chrono", hidden),
    "GRU, default": lambda hidden: gru.layer("default", hidden),
    "GRU, open by 2": lambda hidden: gru.layer(2.0, hidden),
    "GRU, chrono": lambda hidden: gru.layer("chrono", hidden),
}


#: Plain networks whose weights differ in size, and whose half-lives lie far apart.
APART = ("RNN, half the default", "RNN, 0.8 times orthogonal", "RNN, orthogonal")


def longest(build: Build, seed: int) -> int:
    """Return the longest of `LAGS` that is learnt in `PATIENCE` steps of training; the first failure ends it."""
    learnt = 0
    for lag in LAGS:
        if not learn(build, lag, seed, limit=PATIENCE, lr=RATE).learnt:
            break
        learnt = lag
    return learnt


@cache
def point(name: str, seed: int) -> tuple[str, float, int]:
    """Measure one of `PAIRS`: name, half-life before training in steps, longest lag learnt in steps."""
    build = PAIRS[name](LEARNER)
    return name, curve(build, seed).half_life, longest(build, seed)


def points(seed: int, names: Iterable[str] = PAIRS) -> list[tuple[str, float, int]]:
    """Measure each pair, or those that are named."""
    return [point(name, seed) for name in names]


def middle() -> list[tuple[str, float, float]]:
    """Return the stored points, the middle of all seeds for each network: name, half-life, longest lag learnt."""
    networks = zip(*half_life_foretells_memory.details(), strict=True)
    return [
        (seeds[0][0], *(statistics.median(float(seed[place]) for seed in seeds) for place in (1, 2)))
        for seeds in networks
    ]


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
    finding="Roughly, over fourteen pairs of cell and start: networks with a short half-life learnt only short "
    "distances. But it is not all. LSTM and GRU keep their gradient longest, and learn more slowly than a plain "
    "network with a good start.",
    scope=trained(
        "nn.RNN, nn.LSTM and nn.GRU with 14 starts",
        LEARNER,
        f"recall of a bit {LAGS[0]} to {LAGS[-1]} steps back",
        PATIENCE,
        RATE,
    ),
    statistic="rank correlation of half-life and longest distance learnt, over 14 networks (1: the same order)",
    unit="(rank correlation)",
    stated=Verdict.CAVEAT,
    holds=at_least(0.95),
    caveat=Bounds(0.3, 0.9),
    fails=at_most(0.2),
    stored=True,
    detail=points,
    control=control("over three plain networks whose half-lives lie far apart", names=APART),
)
def half_life_foretells_memory(seed: int, names: Iterable[str] = PAIRS) -> float:
    """Order them both ways."""
    _, half_lives, lags = zip(*points(seed, names), strict=True)
    return spearman(half_lives, lags)


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
