"""The computations behind the explanation, one file a section; a new one is its file and one entry of `ALL`."""

from types import ModuleType

from rnnvanish.claim import Claim
from rnnvanish.experiments import (
    activations,
    attention,
    beyond,
    bptt,
    clipping,
    cures,
    depth,
    emerges,
    exploding,
    gradients,
    gru,
    initialisation,
    instability,
    linear,
    longterm,
    lstm,
    multiplication,
    newer_cells,
    plateau,
    real,
    recent,
    skips,
    slow,
    structure,
    transformers,
    truncation,
    vanishing,
)

#: The experiments, in the order of the sections.
ALL: tuple[ModuleType, ...] = (
    structure,
    gradients,
    bptt,
    emerges,
    multiplication,
    vanishing,
    slow,
    longterm,
    plateau,
    instability,
    recent,
    depth,
    initialisation,
    clipping,
    activations,
    skips,
    lstm,
    gru,
    attention,
    exploding,
    beyond,
    real,
    cures,
    transformers,
    linear,
    newer_cells,
    truncation,
)


def claims() -> list[Claim]:
    """Every claim of every experiment."""
    return [value for experiment in ALL for value in vars(experiment).values() if isinstance(value, Claim)]
