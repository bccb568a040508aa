"""What the techniques share: a layer as it is drawn, how much gradient it keeps, and how soon it learns to remember."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from rnnvanish.experiments.keras_start import keras_start
from rnnvanish.experiments.learning import Lesson, Reader, teach
from rnnvanish.experiments.small import seeded
from rnnvanish.mitigations import Chrono, OpenGate
from rnnvanish.probes import Curve, retention
from rnnvanish.tasks.recall import Recall

STEPS, BATCH, HIDDEN = 101, 16, 64
LEARNER = 32  # units of a network that is trained

#: How loud white noise is at the input, as a multiple of the usual: its standard deviation.
QUIET, LOUD = 0.1, 5.0

#: Draws a recurrent layer; it reads one feature where nothing else is said.
Build = Callable[[], nn.Module]

SPAN = 100  # steps: the longest memory that the chrono start is told of
#: What is done to the gates of an LSTM or a GRU before training.
GATES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "default": lambda layer: layer,
    "Keras": keras_start,
    "open by 1": OpenGate(1.0),
    "open by 2": OpenGate(2.0),
    "chrono": Chrono(SPAN),
}


def gated(kind: Callable[[int, int], nn.Module], start: str | float = "default", hidden: int = HIDDEN) -> Build:
    """Say how to draw an LSTM or a GRU: one of `GATES`, or the bias of the gate that keeps the state."""
    treat = GATES[start] if isinstance(start, str) else OpenGate(start)
    return lambda: treat(kind(1, hidden))


def curve(build: Build, seed: int, steps: int = STEPS, features: int = 1, volume: float = 1.0) -> Curve:
    """Measure how much of the gradient is left, step by step back, in the first loop of what `build` draws.

    Args:
        build: Draws the layer, from `seed`.
        seed: Of weights and noise, and of what the layer draws.
        steps: Length of the sequences: white noise.
        features: Numbers that are read at a step.
        volume: Standard deviation of the noise.
    """
    with seeded(seed):
        layer = build().double()
        x = volume * torch.randn(steps, BATCH, features).double()
        return next(
            iter(retention(layer, x).values())
        )  # what the layer drops while it is measured is drawn from the seed, too


def learn(build: Build, lag: int, seed: int, batch: int = 32, **options: Any) -> Lesson:
    """Teach what `build` draws to remember one bit for `lag` steps of noise.

    Args:
        build: Draws the layer, from `seed`.
        lag: Steps from the bit to the answer.
        seed: Of weights and sequences.
        batch: Sequences in a step.
        **options: Those of `teach`.
    """
    task = Recall(lag + 1)
    return teach(lambda: Reader(build(), task), task, seed, batch=batch, **options)
