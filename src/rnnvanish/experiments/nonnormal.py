"""Section 5, matrices that are not normal: all eigenvalues below one, and what goes back grows first."""

import torch
from torch import nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.small import seeded
from rnnvanish.probes import jacobian

HIDDEN, BIGGEST, FEED, LAGS = 32, 0.9, 0.2, (1, 5, 10, 20, 50, 100, 200, 400)


def network(seed: int, feed: float = FEED) -> nn.RNN:
    """Draw a plain network without biases, whose recurrent weights have all eigenvalues at `BIGGEST`: they are triangular.

    Args:
        seed: Of the weights.
        feed: How strongly each unit feeds those behind it, as in a row; 0 for not at all.
    """
    with seeded(seed):
        layer = nn.RNN(1, HIDDEN, bias=False).double()
        row = feed * torch.randn(HIDDEN, HIDDEN).double().triu(1)
    layer.get_parameter("weight_hh_l0").data.copy_(BIGGEST * torch.eye(HIDDEN).double() + row)
    return layer


def stretch(layer: nn.RNN, lag: int) -> float:
    """Return the most by which `lag` steps stretch a small change of the state, while the state is at rest."""
    return float(jacobian(layer, torch.zeros(lag + 1, 1, 1).double(), lag, count=1)[0, 0])


@claim(
    section=5,
    sentence="If all eigenvalues of the recurrent weights are below one, gradients shrink.",
    finding="In the end they do. But here twenty steps make one a thousand times as large first. What counts for a number of steps is how far "
    "the weights stretch, and eigenvalues do not tell that.",
    scope=f"nn.RNN, {HIDDEN} units at rest, all eigenvalues {BIGGEST}, units that feed each other in a row; before training",
    statistic="most that 20 steps stretch a gradient",
    unit="times",
    source=sources.LEARN_AI,
    stated=Verdict.FAILS,
    holds=at_most(1),
    fails=at_least(100),
    seeds=3,
    control=control("with the same eigenvalues, where no unit feeds another", feed=0.0),
)
def eigenvalues_tell(seed: int, feed: float = FEED) -> float:
    """Look twenty steps back."""
    return stretch(network(seed, feed), 20)
