"""Beyond: how long the gradient lasts while a network learns, and not only before."""

import copy
from functools import cache

import torch
from torch import nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments.initialisation import layer
from rnnvanish.experiments.scopes import trained
from rnnvanish.experiments.workbench import LEARNER, curve, learn

LAG, RATE, LIMIT, LOOK = 20, 0.01, 150, 10
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
#: Half-lives beyond this count as this, in steps.
LONGEST = 1000.0


@cache
def course(seed: int, optimizer: str = "adam") -> tuple[list[float], float]:
    """Train a plain network to remember a bit, and measure its half-life before and after every `LOOK` steps.

    Returns:
        The half-lives in steps, `LONGEST` at most, and after how many steps of training it had learnt; infinite where it had not.
    """
    found = [min(curve(layer("default", LEARNER), seed).half_life, LONGEST)]

    def watch(step: int, model: nn.Module) -> None:
        if step % LOOK == 0:
            network = copy.deepcopy(model.get_submodule("layer"))
            found.append(min(curve(lambda: network, seed).half_life, LONGEST))

    build = layer("default", LEARNER)
    lesson = learn(build, LAG, seed, limit=LIMIT, lr=RATE, optimizer=OPTIMIZERS[optimizer], stop=False, watch=watch)
    return found, lesson.steps


@claim(
    section=21,
    sentence="How long the gradient lasts before training is how long it lasts while the network learns.",
    finding="On its way to learning it, the network passes through weights at which the gradient lasts many times as long. "
    "Afterwards, in three draws of five, it lasts no longer than at the start.",
    scope=trained("nn.RNN", LEARNER, f"recall of a bit {LAG} steps back", LIMIT, RATE, stop=False),
    statistic=f"longest half-life met during training, looked at every {LOOK} steps, as a multiple of that before it",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_most(2),
    fails=at_least(5),
    control=control("where plain gradient descent trains it, which teaches it nothing", optimizer="sgd"),
)
def lasts_as_at_the_start(seed: int, optimizer: str = "adam") -> float:
    """Look again and again."""
    (before, *during), _ = course(seed, optimizer)
    return max(during) / before
