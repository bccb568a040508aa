"""Section 7, Adam: it takes ordinary steps on a tiny gradient, and yet hears no more of the early steps."""

import math

import torch
from torch import Tensor

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import slow, sources, vanishing
from rnnvanish.experiments.scopes import before_training, trained
from rnnvanish.tasks import Recall

LENGTH, TAKEN, RATE, BATCH, LESS = 5, 10, 0.01, 16, 1e-3


def moved(seed: int, optimizer: type[torch.optim.Optimizer], size: float) -> float:
    """Return how far a few training steps move all weights, where the loss, and so its gradient, is `size` times as large."""
    network, task = slow.start(seed, LENGTH), Recall(LENGTH)
    weights = torch.nn.utils.parameters_to_vector(network.parameters()).detach()
    rule = optimizer(network.parameters(), lr=RATE)  # type: ignore[call-arg]  # every optimiser has a learning rate
    generator = torch.Generator().manual_seed(seed)
    for _ in range(TAKEN):
        sample = task.sample(BATCH, generator)
        rule.zero_grad()
        (size * task.loss(network(sample.inputs.double()), sample)).backward()
        rule.step()
    return float((torch.nn.utils.parameters_to_vector(network.parameters()).detach() - weights).norm())


def first_step(gradient: Tensor) -> Tensor:
    """Return the first step of Adam, to its direction: each gradient over its own size."""
    return gradient.sign()


def turned(seed: int, start: str = "default", last: int = 20) -> float:
    """Return the angle, in degrees, between Adam's first step on the whole gradient and that on the `last` steps alone."""
    layer, x = vanishing.network(seed, start)
    whole, part = (first_step(vanishing.gradient(layer, x, each).flatten()) for each in (len(x), last))
    return math.degrees(math.acos(min(1.0, float(torch.cosine_similarity(whole, part, dim=0)))))


@claim(
    section=7,
    sentence="A gradient that is a thousand times smaller makes training steps that are a thousand times smaller.",
    finding="With Adam they are as large as before. It divides each gradient by its usual size. So a tiny gradient alone does "
    "not stop the training of today.",
    scope=trained("nn.RNN", slow.HIDDEN, f"a bit {LENGTH - 1} steps back", TAKEN, RATE, stop=False),
    statistic=f"way of the weights in {TAKEN} training steps where the loss is a thousandth, as a part of that with the whole loss",
    unit="of the way",
    source=sources.DEEP_LEARNING_WITH_GO,
    stated=Verdict.FAILS,
    holds=at_most(0.002),
    fails=at_least(0.5),
    seeds=3,
    control=control("with plain gradient descent (SGD)", optimizer=torch.optim.SGD),
)
def small_gradient_small_step(seed: int, optimizer: type[torch.optim.Optimizer] = torch.optim.Adam) -> float:
    """Make the loss small."""
    return moved(seed, optimizer, LESS) / moved(seed, optimizer, 1.0)


@claim(
    section=7,
    sentence="Adam makes up for vanishing gradients.",
    finding="Not for what vanishes over time. It makes the whole gradient of a weight larger, and in that sum the early steps are as "
    "quiet as before. Leave out all but the last 20 of 101 steps, and Adam's first step does not turn.",
    scope=before_training("nn.RNN", vanishing.HIDDEN, vanishing.STEPS),
    statistic="angle between Adam's first step on the whole gradient and that on the gradient of the last 20 steps alone",
    unit="degrees",
    source=sources.LUIS,
    stated=Verdict.FAILS,
    holds=at_least(10),
    fails=at_most(1),
    seeds=3,
    control=control("from an orthogonal start", start="orthogonal"),
)
def adam_makes_up_for_it(seed: int, start: str = "default") -> float:
    """Compare with the gradient that was cut."""
    return turned(seed, start)
