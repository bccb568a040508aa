"""Section 2: a gradient says which way is down and how steep it is, here; not how far down goes."""

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.small import HIDDEN, Small, seeded

STEPS = 30
NUDGE = 1e-6
LEARNING_RATES = torch.logspace(-6, 4, 41, dtype=torch.float64)


def slopes(seed: int, count: int = 40, aside: int = 0) -> tuple[Float[Tensor, " count"], Float[Tensor, " count"]]:
    """Return the gradient of `count` random weights, and their slopes by trying: nudge it up, nudge it down, look.

    With `aside`, what is nudged is the entry so many places further in the same weight.
    """
    network = Small(seed, STEPS)
    network().backward()
    with seeded(seed):
        weights = [network.readout, *network.rnn.parameters()]
        places = [(weights[i % len(weights)], int(torch.randint(10**6, ()))) for i in range(count)]
    gradient = [weight.grad.view(-1)[place % weight.numel()] for weight, place in places if weight.grad is not None]
    tried = [
        slope_by_trying(network, weight.detach().view(-1), (place + aside) % weight.numel()) for weight, place in places
    ]
    return torch.stack(gradient), torch.tensor(tried, dtype=torch.float64)


@torch.no_grad()
def slope_by_trying(network: Small, weight: Float[Tensor, " entries"], place: int) -> float:
    """Nudge one entry of a weight up and down, and return the slope of the loss between."""
    before = weight[place].item()
    weight[place] = before + NUDGE
    above = float(network())
    weight[place] = before - NUDGE
    below = float(network())
    weight[place] = before
    return (above - below) / (2 * NUDGE)


def drops(seed: int, rates: Float[Tensor, " rates"] = LEARNING_RATES, unit: float = 1.0) -> Float[Tensor, "rates two"]:
    """Take one step downhill at each learning rate, and return how much the loss drops: as promised, and really.

    A slope promises rate times its own square, for every weight. The loss is measured in `unit`s.
    """
    network = Small(seed, STEPS)
    loss = network() / unit
    loss.backward()
    weights = [(weight, weight.detach().clone(), weight.grad) for weight in network.parameters()]
    steepness = sum(float(gradient.square().sum()) for _, _, gradient in weights if gradient is not None)
    result = []
    for rate in rates.tolist():
        with torch.no_grad():
            for weight, before, gradient in weights:
                weight.copy_(before if gradient is None else before - rate * gradient)
            result.append([rate * steepness, float(loss - network() / unit)])
    return torch.tensor(result, dtype=torch.float64)


@claim(
    section=2,
    sentence="The gradient says how the loss changes when a weight changes.",
    finding="Nudge a weight and look what the loss does: it is what the gradient said.",
    scope=before_training("nn.RNN", HIDDEN, STEPS, "a number to guess from white noise"),
    statistic="largest difference between the gradient and the slope found by trying, for 40 weights",
    unit="of the largest slope",
    stated=Verdict.HOLDS,
    holds=at_most(1e-6),
    fails=at_least(1e-2),
    control=control("where another weight is nudged than the one that the gradient is of", aside=1),
    identity=True,
)
def gradient_is_the_slope(seed: int, aside: int = 0) -> float:
    """Compare with nudges."""
    gradient, tried = slopes(seed, aside=aside)
    return float((gradient - tried).abs().max() / tried.abs().max())


@claim(
    section=2,
    sentence="Gradients say how much to adjust each weight.",
    finding="They say which way, and how steep it is right here. How far to go they do not say: a small step brings "
    "the drop that the slope promises, a larger one brings less, and a large one makes things worse.",
    scope=before_training("nn.RNN", HIDDEN, STEPS, "a number to guess from white noise")
    + "; one step of plain gradient descent",
    statistic="learning rate from which one step brings less than half of the drop that the gradient promises; from "
    "0.000001 to 10000 were tried",
    unit="learning rate",
    source=sources.RNN_QUICK_START,
    stated=Verdict.CAVEAT,
    holds=at_least(1e3),
    caveat=Bounds(1e-4, 1e2),
    fails=at_most(1e-5),
    control=control("where the same loss is written in units a million times as large", unit=1e6),
)
def gradient_says_how_far(seed: int, unit: float = 1.0) -> float:
    """Find the first learning rate that falls short."""
    promised, real = drops(seed, unit=unit).T
    short = (real < promised / 2).nonzero().flatten()
    return float(LEARNING_RATES[short[0]]) if len(short) else float("inf")
