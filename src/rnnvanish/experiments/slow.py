"""Section 7: why learning takes so long although the gradient is not small: its useful part is."""

import math
import statistics
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.learning import Lesson, Reader, teach
from rnnvanish.experiments.scopes import trained
from rnnvanish.experiments.small import seeded
from rnnvanish.mitigations import OrthogonalStart
from rnnvanish.tasks import Recall

HIDDEN, BATCH, LARGE = 32, 64, 4096
EVENLY = 200  # optimiser steps after which a network that learns nothing else guesses evenly
#: Optimiser steps after which we stop waiting.
PATIENCE = 200


def reader(length: int) -> Reader:
    """Build a `torch.nn.RNN` as torch draws it, with an answer read off its last state."""
    return Reader(nn.RNN(1, HIDDEN), Recall(length))


def lesson(length: int, seed: int, stop: bool = True) -> Lesson:
    """Teach the network to recall the first of `length` inputs, in `PATIENCE` steps of training at most."""
    return teach(lambda: reader(length), Recall(length), seed, limit=PATIENCE, stop=stop)


def start(seed: int, length: int, orthogonal: bool = False) -> Reader:
    """Draw the network before training, in double precision: the same weights for every length.

    It has PyTorch's own start, or recurrent weights that only turn the state.
    """
    with seeded(seed):
        network = reader(length)
        if orthogonal:
            OrthogonalStart()(network.layer)
        return network.double()


def gradient(network: Reader, value: Tensor) -> Float[Tensor, " weights"]:
    """Return the gradient of `value` by all weights of the recurrent layer, as one vector."""
    return torch.cat([part.flatten() for part in torch.autograd.grad(value, list(network.layer.parameters()))])


def update(seed: int, length: int, batch: int = 0, network: Reader | None = None) -> Float[Tensor, " weights"]:
    """Return the gradient of the loss on one batch of sequences, the `batch`-th of many; None for `start`'s network."""
    network, task = network or start(seed, length), Recall(length)
    sample = task.sample(BATCH, torch.Generator().manual_seed(1000 * seed + batch))
    return gradient(network, task.loss(network(sample.inputs.double()), sample))


def push(seed: int, length: int) -> float:
    """Return the size of the gradient of the loss: the mean over five batches."""
    return statistics.mean(float(update(seed, length, batch).norm()) for batch in range(5))


def useful(seed: int, length: int, network: Reader | None = None) -> Float[Tensor, " weights"]:
    """Return the part of the gradient that teaches: it makes the answer follow the first input.

    Twins read the same noise and differ in the first input alone, 1 or -1. What separates their answers can only
    come from it. The gradient of that separation has no part that is common to both. None for `start`'s network.
    """
    network = network or start(seed, length)
    first = Recall(length).sample(BATCH, torch.Generator().manual_seed(seed)).inputs.double()
    first[0] = 1.0
    second = first.clone()
    second[0] = -1.0
    evidence = [(answer := network(x))[:, 1] - answer[:, 0] for x in (first, second)]
    return gradient(network, (evidence[0] - evidence[1]).mean() / 2)


def paired(network: Reader, length: int, seed: int, count: int = 256) -> Float[Tensor, " weights"]:
    """Return the gradient of the loss over pairs of examples: the same noise after a first input of 1 and of -1."""
    drawn = Recall(length).sample(count, torch.Generator().manual_seed(seed))
    inputs = drawn.inputs.double().repeat(1, 2, 1)
    truth = torch.arange(2).repeat_interleave(count)
    inputs[0, :, 0] = 2.0 * truth - 1
    return gradient(network, nn.functional.cross_entropy(network(inputs), truth))


def teaching(seed: int, length: int) -> float:
    """Return the size of the part of the gradient that teaches."""
    return float(useful(seed, length).norm())


def aim(seed: int, length: int, batches: int = 20, network: Reader | None = None) -> float:
    """Return how well the gradients of single batches point the useful way: mean cosine, 1 wholly, 0 not at all."""
    way = nn.functional.normalize(useful(seed, length, network), dim=0)
    updates = [nn.functional.normalize(-update(seed, length, batch, network), dim=0) for batch in range(batches)]
    return float(torch.stack(updates).mean(0) @ way)


@claim(
    section=7,
    sentence="When gradients vanish, learning takes very many steps.",
    finding="The further back the answer lies, the longer it takes: with 20 inputs, several times as long as with 5.",
    scope=trained("nn.RNN", HIDDEN, "recall of the first of 5 and of 20 inputs", PATIENCE),
    statistic=f"training steps until the first of 20 inputs is recalled, as a multiple of those for 5 inputs; "
    f"waiting ends after {PATIENCE}",
    unit="times",
    source=sources.DEEP_LEARNING_WITH_TENSORFLOW,
    stated=Verdict.HOLDS,
    holds=at_least(2.5),
    fails=at_most(1.3),
    control=control("with 6 inputs in place of 20", length=6),
)
def learning_is_slow(seed: int, length: int = 20) -> float:
    """Teach it both."""
    far, near = (min(lesson(inputs, seed).steps, PATIENCE) for inputs in (length, 5))
    return far / near


@claim(
    section=7,
    sentence="Learning takes so long because the gradient of the weights is tiny.",
    finding="The gradient of a batch stays more than half as large. A network that learns nothing gets pushed about all the "
    "same.",
    scope=f"nn.RNN, {HIDDEN} units, recall of the first of 5 and of 80 inputs, batches of {BATCH}, before training",
    statistic="size of the gradient of the weights with 80 inputs, as a part of that with 5 inputs",
    unit="of that size",
    source=sources.CODE_360,
    stated=Verdict.FAILS,
    holds=at_most(0.1),
    fails=at_least(0.5),
    control=control("for its useful part alone", size=teaching),
)
def whole_gradient_is_tiny(seed: int, size: Callable[[int, int], float] = push) -> float:
    """Compare the two lengths."""
    return size(seed, 80) / size(seed, 5)


@claim(
    section=7,
    sentence="Over all examples together, the gradient of the weights is tiny.",
    finding="Once the network has learnt to guess evenly, it is: the pushes of single examples cancel, to less than a tenth. "
    "Before that, all examples agree on one thing: to guess more evenly.",
    scope=trained("nn.RNN", HIDDEN, "recall of the first of 80 inputs", EVENLY, stop=False),
    statistic="size of the gradient over pairs of examples whose answers are opposite, with 80 inputs, as a part of that with 5 "
    "inputs",
    unit="of that size",
    stated=Verdict.HOLDS,
    holds=at_most(0.2),
    fails=at_least(0.4),
    seeds=3,
    control=control("before training", limit=0),
)
def all_examples_cancel(seed: int, limit: int = EVENLY) -> float:
    """Train until it guesses evenly, and compare the two lengths."""
    model = teach(lambda: reader(80), Recall(80), seed, limit=limit, stop=False).model
    assert isinstance(model, Reader)
    far, near = (float(paired(model.double(), length, seed).norm()) for length in (80, 5))
    return far / near


@claim(
    section=7,
    sentence="What is tiny is the useful part of the gradient.",
    finding="Only the part that would teach the network to recall is gone, and it is gone almost wholly.",
    scope=f"nn.RNN, {HIDDEN} units, recall of the first of 5 and of 80 inputs, batches of {BATCH}, before training",
    statistic="powers of ten by which the useful part of the gradient is smaller with 80 inputs than with 5",
    unit="powers of ten",
    stated=Verdict.HOLDS,
    holds=at_least(6),
    fails=at_most(1),
    control=control("for the whole gradient", size=push),
)
def useful_part_is_tiny(seed: int, size: Callable[[int, int], float] = teaching) -> float:
    """Compare twins that differ in the first input."""
    return math.log10(size(seed, 5) / size(seed, 80))


@claim(
    section=7,
    sentence="Each batch of examples still shows the way to the solution.",
    finding="Batches push the network about, but hardly towards the solution: what is left is noise. From an orthogonal start, "
    "the batches do show the way.",
    scope=f"nn.RNN, {HIDDEN} units, recall of the first of 20 inputs, 20 batches of {BATCH}, before training",
    statistic="how well the gradients of single batches of 20 inputs each point the useful way "
    "(cosine; 1: wholly, 0: not at all)",
    unit="of 1",
    stated=Verdict.FAILS,
    holds=at_least(0.5),
    fails=at_most(0.15),
    control=control("from an orthogonal start", orthogonal=True),
)
def batches_show_the_way(seed: int, orthogonal: bool = False) -> float:
    """Compare every batch with the useful direction."""
    return aim(seed, 20, network=start(seed, 20, orthogonal))


@claim(
    section=7,
    sentence="A larger batch shows the way more clearly.",
    finding="Not where the useful part is gone. With 20 inputs even 4096 examples at once do not point towards the solution. With few "
    "inputs 64 are enough.",
    scope=f"nn.RNN, {HIDDEN} units, the first of 20 inputs is asked for, batches of {LARGE}, before training",
    statistic=f"how well the gradient of a batch of {LARGE} points the useful way (cosine; 1: wholly, 0: not at all)",
    unit="of 1",
    source=sources.BATCH_SIZE,
    stated=Verdict.FAILS,
    holds=at_least(0.5),
    fails=at_most(0.15),
    seeds=3,
    control=control("with 2 inputs in place of 20", length=2),
)
def larger_batch_shows_the_way(seed: int, length: int = 20) -> float:
    """Compare one large batch with the useful direction."""
    network, task = start(seed, length), Recall(length)
    sample = task.sample(LARGE, torch.Generator().manual_seed(seed))
    way = -gradient(network, task.loss(network(sample.inputs.double()), sample))
    return float(torch.cosine_similarity(way, useful(seed, length), dim=0))
