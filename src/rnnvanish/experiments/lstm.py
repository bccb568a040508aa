"""Section 17: an LSTM remembers as long as its forget gate is open, and PyTorch's begins half closed."""

from functools import partial

from torch import nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.claim_grid import Grid, grid_claim
from rnnvanish.experiments.claim_study import Network, Outcome
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.workbench import HIDDEN, SPAN, STEPS, curve, gated

LAG = 20
DEFAULT = Network("as PyTorch draws it", "LSTM")
OPENED = Network("opened by 1", "LSTM", "OpenGate(1.0)")
BIASES = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)

layer = partial(gated, nn.LSTM)


@claim(
    section=17,
    sentence="An LSTM keeps its gradient over long sequences.",
    finding="Not as PyTorch draws it: its forget gate starts half closed, and half of the gradient is gone after one or "
    "two steps, as in a plain network. Keras opens the gate by 1 from the beginning. There it takes about four steps.",
    scope=before_training("nn.LSTM as PyTorch draws it and as Keras draws it", HIDDEN, STEPS),
    statistic="half-life of the gradient as the software draws the layer, the longer one of PyTorch's and Keras'",
    unit="steps",
    source=sources.IRIS,
    stated=Verdict.FAILS,
    holds=at_least(10),
    fails=at_most(6),
    control=control("with the chrono start", starts=("chrono",)),
)
def default_keeps_gradient(seed: int, starts: tuple[str, ...] = ("default", "Keras")) -> float:
    """Take it as it comes."""
    return max(curve(layer(start), seed).half_life for start in starts)


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


@grid_claim(
    section=17,
    sentence=f"An LSTM learns what lies {LAG} steps back.",
    finding="As PyTorch draws it, it depends on the task. Where the only clue stands at the beginning, a wide one "
    "learns it, with Adam, and no other does. Where it has to add two numbers on the way, a small one learns as the opened "
    "one does, and one of 64 units does not.",
    scope="`nn.LSTM` as PyTorch draws it",
    statistic="share of the seeds with which the LSTM as PyTorch draws it learns",
    unit="of the seeds",
    sides=(DEFAULT, OPENED),
    grid=Grid(lag=(LAG,)),
    stated=Verdict.CAVEAT,
    holds=at_least(0.6),
    fails=at_most(0.4),
    control=control("with forget gates opened by 1", sides=(OPENED, DEFAULT)),
    learner=True,
)
def default_learns(default: Outcome, opened: Outcome) -> float:
    """Count the seeds that learn."""
    return default.share


@grid_claim(
    section=17,
    sentence=f"An LSTM with opened forget gates learns what lies {LAG} steps back.",
    finding="It does, with Adam and with plain gradient descent: add 1 to the bias of the forget gate.",
    scope="`nn.LSTM` with forget gates opened by 1",
    statistic="share of the seeds with which the opened LSTM learns",
    unit="of the seeds",
    sides=(OPENED, DEFAULT),
    grid=Grid(lag=(LAG,)),
    stated=Verdict.HOLDS,
    holds=at_least(0.6),
    fails=at_most(0.4),
    control=control("with gates as PyTorch draws them", sides=(DEFAULT, OPENED)),
    learner=True,
)
def open_gates_learn(opened: Outcome, default: Outcome) -> float:
    """Count the seeds that learn."""
    return opened.share
