"""A few steps of training, to see what a cure is worth: the user's own loss, on the user's own batches, by Adam."""

import math
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.diagnosis.advice.trial import devices
from rnnvanish.mitigation import Rule

#: The loss of a model on a batch.
Objective = Callable[[nn.Module, Any], Tensor]


def train_briefly(
    model: nn.Module, batches: Sequence[Any], objective: Objective, steps: int, rate: float, rule: Rule | None = None
) -> tuple[float, float]:
    """Train `model` in place.

    Args:
        model: What is trained: every parameter that wants a gradient.
        batches: Taken in turn, over and over.
        objective: The loss of the model on a batch.
        steps: Steps of Adam.
        rate: Its learning rate.
        rule: What is done to the gradient before each step.

    Returns:
        The loss, mean over the batches, before and after; nan after where training left the numbers. Random numbers are
        drawn from a fixed seed; the caller's stay.
    """
    with torch.random.fork_rng(devices=devices(model)), torch.enable_grad():
        torch.manual_seed(0)
        before = _mean(model, batches, objective)  # the first run draws parameters that are lazy
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        adam = torch.optim.Adam(parameters, lr=rate)
        for batch in islice(cycle(batches), steps):
            adam.zero_grad()
            value = objective(model, batch)
            if not bool(value.isfinite()):
                return before, math.nan
            value.backward()
            if rule is not None:
                rule.apply(parameters)
            adam.step()
        return before, _mean(model, batches, objective)


@torch.no_grad()
def _mean(model: nn.Module, batches: Sequence[Any], objective: Objective) -> float:
    return sum(float(objective(model, batch)) for batch in batches) / len(batches)
