"""Section 12: the same loss from layer to layer, and why depth is another thing than time."""

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.learning import RATE, teach
from rnnvanish.experiments.scopes import trained
from rnnvanish.experiments.small import seeded
from rnnvanish.tasks import Digits

DEPTH, WIDTH, BATCH, TRAINED = 20, 64, 64, 60
#: Learning rates that a stack may have, and the seeds that choose between them and count no more.
RATES, TUNING = (3e-4, 1e-3, 3e-3, 1e-2), (1000, 1001)
SQUASH = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}


class Stack(nn.Module):
    """Layers on top of each other, and an answer read off the top one.

    Args:
        kind: What follows the weights, "sigmoid" or "tanh".
        start: "default", as torch draws `nn.Linear`; "glorot" (Glorot & Bengio 2010, equation 16); or "centred": that for
            a slope of at most 1/4, four times as large, with biases by which outputs of 1/2 add up to zero.
        shared: Whether all layers are one and the same, as the steps of a recurrent network are.
        outputs: Numbers in the answer.
    """

    def __init__(self, kind: str, start: str = "default", shared: bool = False, outputs: int = 1) -> None:
        super().__init__()
        self.squash = SQUASH[kind]
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(1 if shared else DEPTH))
        self.answer = nn.Linear(WIDTH, outputs)
        if start != "default":
            for layer in self.layers:
                weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
                nn.init.xavier_uniform_(weight, gain=4 if start == "centred" else 1)
                with torch.no_grad():
                    bias.copy_(-weight.sum(1) / 2 if start == "centred" else torch.zeros_like(bias))

    def states(self, x: Tensor) -> list[Tensor]:
        """Return what each layer hands on, the lowest first."""
        states = []
        for floor in range(DEPTH):
            x = self.squash(self.layers[floor % len(self.layers)](x))
            states.append(x)
        return states

    def forward(self, x: Tensor) -> Tensor:
        """Answer for inputs (1, batch, 64): all features at once."""
        answer: Tensor = self.answer(self.states(x[-1])[-1])
        return answer


def drawn(seed: int, kind: str, start: str = "default", shared: bool = False) -> tuple[Stack, Tensor]:
    """Draw a stack, in double precision, and inputs from N(0, 1)."""
    with seeded(seed):
        return Stack(kind, start, shared).double(), torch.randn(BATCH, WIDTH, dtype=torch.float64)


def left(seed: int, kind: str, start: str = "default") -> Float[Tensor, " layers"]:
    """Return the gradient that is left at what each layer hands on, the lowest first; the top one is 1."""
    stack, x = drawn(seed, kind, start)
    states = stack.states(x)
    gradients = torch.autograd.grad(stack.answer(states[-1]).sum(), states)
    sizes = torch.stack([gradient.norm() for gradient in gradients])
    return sizes / sizes[-1]


def factor(seed: int, kind: str, start: str = "default") -> float:
    """Return what a layer leaves of the gradient: geometric mean over the layers."""
    return math.pow(float(left(seed, kind, start)[0]), 1 / (DEPTH - 1))


def smallest_update(seed: int, shared: bool, highest: int = DEPTH) -> float:
    """Return the size of the smallest gradient of any weights, as a part of the contribution of the top layer.

    Looked at are the weights of all layers, or those of the `highest` ones.
    """
    stack, x = drawn(seed, "sigmoid", "glorot", shared)
    states = stack.states(x)
    answer = stack.answer(states[-1]).sum()
    weights = [layer.get_parameter("weight") for layer in stack.layers][-highest:]
    sizes = [gradient.norm() for gradient in torch.autograd.grad(answer, weights, retain_graph=True)]
    slope = torch.autograd.grad(answer, states[-1])[0] * states[-1] * (1 - states[-1])
    return float(min(sizes) / (slope.T @ states[-2]).norm().detach())


@cache
def reads_digits(seed: int, kind: str, start: str = "glorot", limit: int = TRAINED, lr: float = RATE) -> float:
    """Train a stack on whole images of digits; returns the part of new images that it reads rightly."""
    task = Digits()
    seen = task.sample(task.test_count, torch.Generator().manual_seed(0), "test")
    stack = teach(lambda: Whole(Stack(kind, start, outputs=10)), task, seed, limit, lr, stop=False).model
    with torch.no_grad():
        return task.score(stack(seen.inputs), seen)


@cache
def best_rate(kind: str, limit: int = TRAINED) -> float:
    """The rate at which a stack of this kind reads digits best, in the middle of two seeds."""
    return max(RATES, key=lambda lr: sum(reads_digits(seed, kind, limit=limit, lr=lr) for seed in TUNING))


class Whole(nn.Module):
    """Hands a stack all 64 pixels at once, in place of one pixel a step."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, x: Float[Tensor, "64 batch 1"]) -> Tensor:
        """Answer, (batch, 10)."""
        answer: Tensor = self.stack(x.permute(2, 1, 0))
        return answer


@claim(
    section=12,
    sentence="In a deep network, each layer takes away a part of the gradient.",
    finding="A sigmoid layer takes more than three quarters of it, with PyTorch's start and with Glorot's. But neither was made "
    "for sigmoid. With weights four times as large as Glorot's, and centred inputs, it leaves nine tenths, as tanh does.",
    scope=f"{DEPTH} sigmoid layers, {WIDTH} units each, PyTorch's start, Glorot's and one made for sigmoid, noise, before training",
    statistic=f"starts, out of three, with which a layer leaves less than half of the gradient: mean over {DEPTH} layers",
    unit="starts",
    source=sources.DIVE_INTO_DEEP_LEARNING,
    stated=Verdict.CAVEAT,
    holds=at_least(3),
    caveat=Bounds(1, 2),
    fails=at_most(0),
    control=control("with tanh layers, from PyTorch's start and Glorot's", kind="tanh", starts=("default", "glorot")),
)
def sigmoid_layers_lose(
    seed: int, kind: str = "sigmoid", starts: tuple[str, ...] = ("default", "glorot", "centred")
) -> float:
    """Look from the top to the bottom, and count."""
    return sum(factor(seed, kind, start) < 0.5 for start in starts)


@claim(
    section=12,
    sentence="Every deep network loses its gradient quickly.",
    finding=f"With tanh and a Glorot start, a layer leaves more than nine tenths. That adds up: of {DEPTH} layers, the lowest "
    "gets about a quarter. It is enough to learn from.",
    scope=f"{DEPTH} tanh layers, {WIDTH} units each, Glorot start, noise, before training",
    statistic=f"what is left of the gradient at the lowest of {DEPTH} tanh layers, from a Glorot start",
    unit="of the gradient",
    source=sources.DEEP_LEARNING_WORKSHOP,
    stated=Verdict.FAILS,
    holds=at_most(1e-3),
    fails=at_least(0.1),
    control=control("with sigmoid layers", kind="sigmoid"),
)
def every_stack_loses(seed: int, kind: str = "tanh") -> float:
    """Look from the top to the bottom."""
    return float(left(seed, kind, "glorot")[0])


@claim(
    section=12,
    sentence="Depth and time are the same thing.",
    finding="Steps in time share their weights, layers do not. With its own weights, the lowest layer is told next to nothing; "
    "with shared weights, the weights are told enough.",
    scope=f"{DEPTH} sigmoid layers, {WIDTH} units each, Glorot start, noise, before training",
    statistic="powers of ten by which the smallest gradient of any weights is smaller with weights of their own than "
    f"with shared ones, in {DEPTH} sigmoid layers",
    unit="powers of ten",
    source=sources.DOMINGUES,
    stated=Verdict.FAILS,
    holds=at_most(0.5),
    fails=at_least(3),
    control=control("for the weights of the top layer alone", highest=1),
)
def depth_is_time(seed: int, highest: int = DEPTH) -> float:
    """Give each layer weights of its own, or the same to all."""
    own, shared = (
        torch.tensor(smallest_update(seed, shared, highest), dtype=torch.float64) for shared in (False, True)
    )
    return float((shared / own).log10())


@claim(
    section=12,
    sentence="What the layers of a deep network are made of decides whether it learns real data.",
    finding=f"Of two stacks of {DEPTH} layers, each at the learning rate that suits it best, tanh learns to read handwritten "
    "digits, sigmoid stays at guessing.",
    scope=trained(f"{DEPTH} layers with a Glorot start", WIDTH, "whole images of digits", TRAINED, RATES, stop=False)
    + ", each at its best rate by two other seeds",
    statistic="right answers of the tanh stack less those of the sigmoid stack, after 60 steps of training",
    unit="of all",
    stated=Verdict.HOLDS,
    holds=at_least(0.4),
    fails=at_most(0.1),
    control=control("before training", limit=0),
)
def real_digits_too(seed: int, limit: int = TRAINED) -> float:
    """Teach both."""
    tanh, sigmoid = (reads_digits(seed, kind, limit=limit, lr=best_rate(kind, limit)) for kind in ("tanh", "sigmoid"))
    return tanh - sigmoid
