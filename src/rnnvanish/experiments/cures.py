"""What each cure changes before any training: of plain, LSTM and GRU networks the half-life, and what arrives from 100 steps back."""

import inspect
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from torch import nn

from rnnvanish import mitigations
from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import cure_study, sources
from rnnvanish.experiments.scopes import trained
from rnnvanish.experiments.workbench import HIDDEN, curve
from rnnvanish.mitigation import Build, Draw, Mitigation
from rnnvanish.names import built
from rnnvanish.recurrent import Recurrent

LAG = 100
#: One more step than fits a hundred, so that no cut of a truncation falls just before the end.
STEPS = LAG + 11
SEEDS = (0, 1, 2)
ENDLESS = 1e6  # steps
#: Of the study: units, training steps at most, learning rates (of digits the first two), and what is recalled.
UNITS, BUDGET, RATES = 32, 300, (3e-3, 1e-2, 3e-2)
RECALL = "recall of a bit 20, 60 and 180 steps back"
#: The networks that cures are tried on, as torch draws them; the first two are plain ones, by their activation.
NETWORKS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "tanh": nn.RNN,
    "ReLU": lambda features, hidden: nn.RNN(features, hidden, nonlinearity="relu"),
    "LSTM": nn.LSTM,
    "GRU": nn.GRU,
}
#: How `rnnvanish train` calls each; the first that a cure takes shows its use.
CALLED = {"LSTM": "LSTM", "GRU": "GRU", "tanh": "Elman", "ReLU": "Elman --cell_options.nonlinearity relu"}


@dataclass(frozen=True)
class Kept:
    """How much of a gradient a network keeps.

    Attributes:
        half_life: In steps; infinite where less than half is lost in a million.
        gain: The part that is left at each lag, from 0 to `LAG`.
    """

    half_life: float
    gain: tuple[float, ...]

    @property
    def arrives(self) -> float:
        """The part that arrives from `LAG` steps back."""
        return self.gain[LAG]


def written(name: str) -> str:
    """A cure as one writes it: its name, and where it needs an option the call that its docstring shows."""
    cure = mitigations.ALL[name]
    if all(option.default is not option.empty for option in inspect.signature(cure).parameters.values()):
        return name
    shown = re.search(rf"\b{name}\([^()]*\)", inspect.getdoc(cure) or "")
    if shown is None:
        raise ValueError(f"{name} needs options: show in an example of its docstring how it is called.")
    return shown[0]


def example(name: str) -> Mitigation:
    """A cure with the options of `written`."""
    (cure,) = built("cure", written(name), mitigations.ALL)
    return cure


def suited(cure: Mitigation) -> tuple[str, ...]:
    """Those of `NETWORKS` that a cure takes: one that neither draws nor builds takes them all."""
    return tuple(network for network in NETWORKS if not isinstance(cure, Draw | Build) or _takes(cure, network))


def _takes(cure: Draw | Build, network: str) -> bool:
    try:
        cure(NETWORKS[network](1, 4))
    except ValueError:
        return False
    return True


def told(name: str) -> str:
    """What a cure is, in a sentence: that of its file, or of its class where the file has several."""
    cure = mitigations.ALL[name]
    alone = sum(other.__module__ == cure.__module__ for other in mitigations.ALL.values()) == 1
    doc = inspect.getdoc(sys.modules[cure.__module__] if alone else cure) or ""
    return " ".join(doc.partition("\n\n")[0].split())


def measured(cure: Mitigation) -> dict[str, Kept]:
    """What is kept with a cure, by network; of the two plain ones the first that it takes. Of one that acts in training nothing."""
    if not isinstance(cure, Draw | Build):
        return {}
    suits = suited(cure)
    return {network: kept(network, cure) for network in suits if network != "ReLU" or "tanh" not in suits}


@cache
def kept(network: str, *cures: Draw | Build) -> Kept:
    """Measure a network of 64 units, with cures or without: of three draws the one whose half-life is the middle one.

    Raises:
        ValueError: For a cure that does not take the network, or what another one has made of it.
    """
    curves = sorted(
        (curve(lambda: _drawn(network, cures), seed, STEPS) for seed in SEEDS), key=lambda each: each.half_life
    )
    middle = curves[len(SEEDS) // 2]
    half_life = middle.half_life if middle.half_life < ENDLESS else math.inf
    return Kept(half_life, tuple(middle.gain[: LAG + 1].tolist()))


def _drawn(network: str, cures: Sequence[Draw | Build]) -> nn.Module:
    layer = NETWORKS[network](1, HIDDEN)
    for cure in sorted(
        cures, key=lambda each: isinstance(each, Build)
    ):  # as in training: what is built has its weights
        layer = cure(layer)
    for each in layer.modules():
        if isinstance(each, Recurrent):
            each.engine = "reference"  # to compile it would take longer than to measure it
    return layer


@claim(
    section=23,
    sentence="A plain network cannot learn what lies 180 steps back.",
    finding="It can, as it is drawn, if it takes large steps. One sign is all that it has to hold, and its state may fall to "
    "one of two sides and stay there. An LSTM as it is drawn learnt no distance that we tried.",
    scope=trained("nn.RNN", UNITS, RECALL, BUDGET, RATES),
    statistic="longest of 20, 60 and 180 steps that a plain network learnt as it is drawn, at the best of three learning rates",
    unit="steps",
    source=sources.ENGINEER_MAXXING,
    stated=Verdict.FAILS,
    holds=at_most(60),
    fails=at_least(180),
    seeds=3,
    control=control("for an LSTM", network="LSTM"),
    origin=cure_study.origin,
)
def plain_learns_far(seed: int, network: str = "tanh") -> float:
    """Read it from the study."""
    return cure_study.longest_of(seed, network)


@claim(
    section=23,
    sentence="An LSTM that is told how long it has to remember learns what lies 60 steps back.",
    finding="It does: with gates that are opened for such a time (chrono). As it is drawn it did not learn 20 steps.",
    scope=trained("nn.LSTM with the chrono start", UNITS, RECALL, BUDGET, RATES),
    statistic="longest of 20, 60 and 180 steps that an LSTM learnt with the chrono start, at the best of three learning rates",
    unit="steps",
    stated=Verdict.HOLDS,
    holds=at_least(60),
    fails=at_most(0),
    seeds=3,
    control=control("as it is drawn", cure=""),
    origin=cure_study.origin,
)
def chrono_lets_learn_far(seed: int, cure: str = "Chrono") -> float:
    """Read it from the study."""
    return cure_study.longest_of(seed, "LSTM", cure)


@claim(
    section=23,
    sentence="If its sequences are short at first and grow, an LSTM learns what lies far back.",
    finding="It does, 60 steps, as it is drawn. Its sequences were still far shorter than that when it had learnt it, and its gradient "
    "lasted but a few steps: over a short way it had learnt to keep, and keeping goes on. With sequences of full length from the "
    "beginning it learnt no distance that we tried.",
    scope=trained("nn.LSTM whose sequences grow from a tenth of their length", UNITS, RECALL, BUDGET, RATES),
    statistic="longest of 20, 60 and 180 steps that an LSTM learnt with sequences that grow, at the best of three learning rates",
    unit="steps",
    stated=Verdict.HOLDS,
    holds=at_least(60),
    fails=at_most(0),
    seeds=3,
    control=control("with sequences of full length from the beginning", cure=""),
    origin=cure_study.origin,
)
def short_first_learns_far(seed: int, cure: str = "Curriculum") -> float:
    """Read it from the study."""
    return cure_study.longest_of(seed, "LSTM", cure)


@claim(
    section=23,
    sentence="If the gradient is cut every 20 steps, nothing that lies further back can be learnt.",
    finding="A plain network did learn it. No gradient led from the end to the sign. But within 20 steps it learnt to hold on "
    "to one of two sides, and that is enough to hold the sign.",
    scope=trained("nn.RNN whose gradient is cut every 20 steps", UNITS, RECALL, BUDGET, RATES),
    statistic="longest of 20, 60 and 180 steps that a plain network learnt with a gradient that is cut every 20 steps, at the "
    "best of three learning rates",
    unit="steps",
    stated=Verdict.FAILS,
    holds=at_most(20),
    fails=at_least(60),
    seeds=3,
    control=control("for an LSTM", network="LSTM"),
    origin=cure_study.origin,
)
def nothing_before_the_cut(seed: int, network: str = "tanh") -> float:
    """Read it from the study."""
    return cure_study.longest_of(seed, network, "TruncatedBackpropagation")


@claim(
    section=23,
    sentence="What lets an LSTM remember longer makes it better on real data.",
    finding="Not on these digits. The start with which it learnt what lies 60 steps back left its share of right answers as it was.",
    scope=trained(
        "nn.LSTM with the chrono start and without",
        UNITS,
        "digits read pixel by pixel, 64 steps",
        BUDGET,
        RATES[:2],
        stop=False,
    ),
    statistic="share of handwritten digits that an LSTM got right with the chrono start, less that without, each at its "
    "better rate",
    unit="of the digits",
    stated=Verdict.FAILS,
    holds=at_least(0.08),
    fails=at_most(0.04),
    seeds=3,
    control=control("for a plain network with an orthogonal start", network="tanh", cure="OrthogonalStart"),
    origin=cure_study.origin,
)
def longer_memory_helps_digits(seed: int, network: str = "LSTM", cure: str = "Chrono") -> float:
    """Read both from the study."""
    return cure_study.score_of(seed, network, cure) - cure_study.score_of(seed, network)


@claim(
    section=23,
    sentence="Training makes a network remember longer.",
    finding="Where it learns, it does: a GRU that started with open gates (chrono) remembered several times as long afterwards. Where it does not "
    "learn, it makes it worse. An LSTM as it is drawn learnt nothing, and came out with a shorter memory than it had.",
    scope=trained("nn.LSTM", UNITS, RECALL, BUDGET, RATES),
    statistic="half-life of the gradient after training, as a multiple of that before: the middle of all lags and rates",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_least(2),
    fails=at_most(0.9),
    seeds=3,
    control=control("for a GRU with the chrono start", network="GRU", cure="Chrono"),
    origin=cure_study.origin,
)
def training_lengthens_memory(seed: int, network: str = "LSTM", cure: str = "") -> float:
    """Read it from the study."""
    return cure_study.lengthened(seed, network, cure)
