"""How long it takes to learn a task: a plain training loop, small enough to run on a page."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnnvanish.experiments.small import seeded
from rnnvanish.task import Task

#: Where the running mean of the score counts as learnt, and how much of it each step keeps.
LEARNT, KEPT = 0.95, 0.9
RATE = 3e-3  # at which is learnt where nothing else is said


class Reader(nn.Module):
    """A recurrent layer, and an answer read off its last output.

    Args:
        layer: Any recurrent module, time first.
        task: What is asked.
    """

    def __init__(self, layer: nn.Module, task: Task) -> None:
        super().__init__()
        self.layer = layer
        with torch.no_grad():
            width = layer(torch.zeros(1, 1, task.input_size))[0].shape[-1]
        self.answer = nn.Linear(width, task.output_size)

    def forward(self, x: Tensor) -> Tensor:
        """Answer, (batch, outputs)."""
        answer: Tensor = self.answer(self.layer(x)[0][-1])
        return answer


@dataclass(frozen=True)
class Lesson:
    """How a training went.

    Attributes:
        steps: Optimiser steps until the task was learnt; infinite where it never was.
        losses: Loss at each step.
        scores: Score at each step.
        model: The network as it came out.
    """

    steps: float
    losses: list[float]
    scores: list[float]
    model: nn.Module

    @property
    def learnt(self) -> bool:
        """Whether the task was learnt at all."""
        return math.isfinite(self.steps)


def teach(
    build: Callable[[], nn.Module],
    task: Task,
    seed: int,
    limit: int = 300,
    lr: float = RATE,
    clip: float | None = 1.0,
    batch: int = 64,
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam,
    stop: bool = True,
    watch: Callable[[int, nn.Module], None] | None = None,
) -> Lesson:
    """Train what `build` builds until it has learnt `task`, for `limit` steps at most.

    Args:
        build: Builds the model: input (time, batch, features) to answer; its weights are drawn from `seed`.
        task: Answered at the end of a sequence.
        seed: Of weights and sequences.
        limit: Optimiser steps at most.
        lr: Learning rate.
        clip: Largest norm of the gradient; None for any.
        batch: Sequences in a step.
        optimizer: Its class.
        stop: Whether to stop as soon as the task is learnt.
        watch: Is called after each step with how many there were, and the model.
    """
    with seeded(seed):
        model = build()
    generator = torch.Generator().manual_seed(seed)
    rule = optimizer(model.parameters(), lr=lr)  # type: ignore[call-arg]  # every optimiser has a learning rate
    losses: list[float] = []
    scores: list[float] = []
    steps, mean = math.inf, 0.0
    for step in range(limit):
        sample = task.sample(batch, generator)
        answer = model(sample.inputs)
        loss = task.loss(answer, sample)
        rule.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        rule.step()
        if watch is not None:
            watch(step + 1, model)
        losses.append(loss.item())
        scores.append(task.score(answer, sample))
        mean = KEPT * mean + (1 - KEPT) * scores[-1]
        # A mean that starts at zero is too low at first: divided by the weight that it has gathered, it is not.
        if math.isinf(steps) and step >= 9 and mean / (1 - KEPT ** (step + 1)) >= LEARNT:
            steps = step + 1
            if stop:
                break
    return Lesson(steps, losses, scores, model)
