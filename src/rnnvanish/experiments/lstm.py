"""Section 17: an LSTM remembers as long as its forget gate is open, and PyTorch's begins half closed."""

from functools import partial

from torch import nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.scopes import before_training, trained
from rnnvanish.experiments.workbench import HIDDEN, LEARNER, SPAN, STEPS, curve, gated, rates_learnt

LAG, RATES, LIMIT = 20, (1e-3, 3e-3, 1e-2), 600
BIASES = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)

layer = partial(gated, nn.LSTM)


@claim(
    section=17,
    sentence="An LSTM keeps its gradient over long sequences.",
    finding="Not as PyTorch draws it: its forget gate starts half closed, and half of the gradient is gone after one or "
    "two steps, as in a plain network.",
    scope=before_training("nn.LSTM", HIDDEN, STEPS),
    statistic="half-life of the gradient in torch.nn.LSTM as it comes",
    unit="steps",
    source=sources.IRIS,
    stated=Verdict.FAILS,
    holds=at_least(10),
    fails=at_most(3),
    control=control("with the chrono start", start="chrono"),
)
def default_keeps_gradient(seed: int, start: str = "default") -> float:
    """Take it as it comes."""
    return curve(layer(start), seed).half_life


@claim(
    section=17,
    sentence="An LSTM with open forget gates keeps its gradient.",
    finding="It does. Biases that spread the gates over memories of up to 100 steps (chrono) make the gradient last "
    "many times as long.",
    scope=before_training(f"nn.LSTM with the chrono start for {SPAN} steps", HIDDEN, STEPS),
    statistic="half-life of the gradient in torch.nn.LSTM with the chrono start",
    unit="steps",
    source=sources.TEXTBOOK_OF_AI,
    stated=Verdict.HOLDS,
    holds=at_least(20),
    fails=at_most(5),
    control=control("with gates as PyTorch draws them", start="default"),
)
def open_gates_keep_gradient(seed: int, start: str = "chrono") -> float:
    """Open the gates."""
    return curve(layer(start), seed).half_life


@claim(
    section=17,
    sentence="An LSTM learns what lies 20 steps back.",
    finding=f"Not as PyTorch draws it, in {LIMIT} steps of training, at any of three learning rates, when all there is to "
    "learn lies at the beginning.",
    scope=trained("nn.LSTM", LEARNER, f"recall of a bit {LAG} steps back", LIMIT, RATES),
    statistic="learning rates, out of three, at which torch.nn.LSTM as it comes learnt it",
    unit="rates",
    stated=Verdict.FAILS,
    holds=at_least(2),
    fails=at_most(0),
    stored=True,
    control=control("for what lies 2 steps back", lag=2),
)
def default_learns(seed: int, lag: int = LAG) -> float:
    """Teach it at three rates."""
    return rates_learnt(layer("default", LEARNER), lag, seed, RATES, LIMIT)


@claim(
    section=17,
    sentence="An LSTM with opened forget gates learns what lies 20 steps back.",
    finding="It does, and not at one learning rate alone: add 1 to the bias of the forget gate.",
    scope=trained("nn.LSTM with forget gates opened by 1", LEARNER, f"recall of a bit {LAG} steps back", LIMIT, RATES),
    statistic="learning rates, out of three, at which torch.nn.LSTM with forget gates opened by 1 learnt it",
    unit="rates",
    stated=Verdict.HOLDS,
    holds=at_least(2),
    fails=at_most(0),
    control=control("with gates as PyTorch draws them", start="default"),
)
def open_gates_learn(seed: int, start: str = "open by 1") -> float:
    """Teach it with open gates."""
    return rates_learnt(layer(start, LEARNER), LAG, seed, RATES, LIMIT)
