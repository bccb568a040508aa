"""The computations behind the explanation, one file a section; a new one is its file and one entry of `ALL`."""

from types import ModuleType

from rnnvanish.claim import Claim
from rnnvanish.experiments import (
    activations,
    adam,
    attention,
    beyond,
    bptt,
    clipping,
    cures,
    dense_loss,
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
    nonnormal,
    normalisation,
    plateau,
    precision,
    real,
    recent,
    skips,
    slow,
    structure,
    trained_gates,
    transformers,
    transition,
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
    nonnormal,
    vanishing,
    precision,
    slow,
    adam,
    dense_loss,
    longterm,
    plateau,
    instability,
    recent,
    depth,
    transition,
    initialisation,
    normalisation,
    clipping,
    activations,
    skips,
    lstm,
    gru,
    trained_gates,
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
