"""Section 18: a GRU has one gate fewer, and the same condition."""

import math
from collections.abc import Callable
from functools import partial

from torch import nn

from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.claim_grid import Grid, grid_claim
from rnnvanish.experiments.claim_study import Network, Outcome
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.workbench import HIDDEN, SPAN, STEPS, curve, gated

LAG = 20
DEFAULT = Network("as PyTorch draws it", "GRU")
OPENED = Network("opened by 2", "GRU", "OpenGate(2.0)")
BIASES = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0)

layer = partial(gated, nn.GRU)


@claim(
    section=18,
    sentence="A GRU keeps its gradient over long sequences.",
    finding="Not as PyTorch draws it, nor as Keras does: half of the gradient is gone after one or two steps, as in a plain "
    "network.",
    scope=before_training("nn.GRU as PyTorch draws it and as Keras draws it", HIDDEN, STEPS),
    statistic="half-life of the gradient as the software draws the layer, the longer one of PyTorch's and Keras'",
    unit="steps",
    source=sources.NLP_WITH_GRUS,
    stated=Verdict.FAILS,
    holds=at_least(10),
    fails=at_most(6),
    control=control("with the chrono start", starts=("chrono",)),
)
def default_keeps_gradient(seed: int, starts: tuple[str, ...] = ("default", "Keras")) -> float:
    """Take it as it comes."""
    return max(curve(layer(start), seed).half_life for start in starts)


@claim(
    section=18,
    sentence="A GRU with update gates that keep the old state keeps its gradient.",
    finding="It does. Biases that spread the gates over memories of up to 100 steps (chrono) make the gradient last "
    "many times as long.",
    scope=before_training(f"nn.GRU with the chrono start for {SPAN} steps", HIDDEN, STEPS),
    statistic="half-life of the gradient in torch.nn.GRU with the chrono start",
    unit="steps",
    stated=Verdict.HOLDS,
    holds=at_least(20),
    fails=at_most(5),
    control=control("with gates as PyTorch draws them", start="default"),
)
def open_gates_keep_gradient(seed: int, start: str = "chrono") -> float:
    """Open the gates."""
    return curve(layer(start), seed).half_life


@grid_claim(
    section=18,
    sentence=f"A GRU learns what lies {LAG} steps back.",
    finding="As PyTorch draws it, Adam teaches it on both tasks, and missed it at one point only: with 64 units one draw in three "
    "recalled the bit. Plain gradient descent does not teach it; it teaches the one whose update gate is opened.",
    scope="`nn.GRU` as PyTorch draws it",
    statistic="share of the seeds with which the GRU as PyTorch draws it learns",
    unit="of the seeds",
    sides=(DEFAULT, OPENED),
    grid=Grid(lag=(LAG,)),
    stated=Verdict.CAVEAT,
    holds=at_least(0.6),
    fails=at_most(0.4),
    control=control("with update gates opened by 2", sides=(OPENED, DEFAULT)),
    learner=True,
)
def gru_learns(default: Outcome, opened: Outcome) -> float:
    """Count the seeds that learn."""
    return default.share


def time_constant(bias: float) -> float:
    """Return after how many steps a gate that keeps σ(bias) of what there is has kept half of it."""
    return math.log(2) / math.log1p(math.exp(-bias))


@claim(
    section=18,
    sentence="The bias of the gate is a clock: it says how long a gradient lasts.",
    finding="Of a GRU it does, to a fifth or so. A gate that keeps 95 of 100 at each step has lost half after 14 steps, and so has the gradient. Of an LSTM "
    "it does not: there the gradient outlives its gates.",
    scope=before_training("nn.GRU with biases of 3", HIDDEN, STEPS),
    statistic="half-life of the gradient, as a multiple of that of the gate alone",
    unit="times",
    stated=Verdict.HOLDS,
    holds=Bounds(0.75, 1.33),
    fails=at_least(2),
    control=control("for an LSTM", kind=nn.LSTM),
)
def gate_is_a_clock(seed: int, kind: Callable[[int, int], nn.Module] = nn.GRU) -> float:
    """Compare the network with its gate."""
    return curve(gated(kind, 3.0), seed).half_life / time_constant(3.0)
